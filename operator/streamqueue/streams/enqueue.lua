-- Enqueue tasks once each: EXISTS, then XADD (or the delayed set), then SET.
-- KEYS: stream, delayed sorted set, payload hash, then one mark per task.
-- ARGV per task: task id, how long the mark lives (ms), delay ms, number of values, fields and values.
-- Reply: per task {entry id ('' for a delayed one), 1 if it had been sent before}.
local stream, delayed, payloads = KEYS[1], KEYS[2], KEYS[3]

for i, kind in ipairs({'stream', 'zset', 'hash'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= kind and found ~= 'none' then return redis.error_reply('WRONGTYPE ' .. kind .. ' expected') end
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
  local before = redis.call('GET', KEYS[i])
  if before then
    -- A write, so that a WAIT on this connection covers the first call, too.
    redis.call('PEXPIRE', KEYS[i], kept)
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
