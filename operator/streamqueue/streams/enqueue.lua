-- Enqueue tasks once each: EXISTS, then XADD (or the delayed set), then SET.
-- KEYS: stream, delayed sorted set, payload hash, then one mark per task.
-- ARGV per task: task id, how long the mark lives (ms), delay ms, number of values, fields and values.
-- Reply: per task {entry id ('' for a delayed one), 1 if it had been sent before}.
local stream, delayed, payloads = KEYS[1], KEYS[2], KEYS[3]

local is_delaying = false
for i, kind in ipairs({'stream', 'zset', 'hash'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= kind and found ~= 'none' then return redis.error_reply('WRONGTYPE ' .. kind .. ' expected') end
  is_delaying = is_delaying or found == 'zset'
end

local function add(id, delay, fields)
  if delay <= 0 then return redis.call('XADD', stream, '*', unpack(fields)) end
  redis.call('HSET', payloads, id, cmsgpack.pack(fields))
  redis.call('ZADD', delayed, now + delay, id)
  return ''
end

local reply, at = {}, 1
for i = 4, #KEYS do
  local id, kept, delay, count = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  -- What is delayed is known, however late it is let in: another under its id would take its place.
  local due = is_delaying and redis.call('ZSCORE', delayed, id)
  local before = redis.call('GET', KEYS[i]) or due and ''
  if before then
    if due then kept = kept + math.max(due - now, 0) end
    -- A write, so that a WAIT on this connection covers the first call, too.
    if redis.call('PEXPIRE', KEYS[i], kept) == 0 then redis.call('SET', KEYS[i], before, 'PX', kept) end
    reply[#reply + 1] = {before, 1}
  else
    local fields = {'sq-id', id}
    for j = at + 4, at + 3 + count do fields[#fields + 1] = ARGV[j] end
    local entry = add(id, delay, fields)
    redis.call('SET', KEYS[i], entry, 'PX', kept + math.max(delay, 0))
    reply[#reply + 1] = {entry, 0}
  end
  at = at + 4 + count
end
return reply
