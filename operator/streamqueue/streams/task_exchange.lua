-- Settle what has ended, then take as much work as there are free slots: one round trip for both.
-- KEYS from 7 on: set of outboxes, set of workers that take no more, then streams that results are emitted to, or
-- outboxes of streams out of reach.
-- ARGV[8..10]: token for what is taken, entries to take, how many due retries come first.
-- Then per settlement: kind, id, token, number of arguments, arguments:
--   ack: task id, result, then per emit: key index, number of values, values
--   acks: ids with that token and nothing to note or emit, with blanks between; the record's own id is empty
--   whole: the same, and a repeated call names the same ids
--   retry: delay ms, charge (0 or 1), cause     crash: the same, and the task runs alone next time
--   dead: reason, cause     release: none
-- Reply: {runs of equal verdicts {verdict, how many}, entries taken again, new entries {ids with blanks between, fields
-- of each}, ms until something falls due (-1: nothing will), 1 where nothing was taken as this worker takes no more}.
local token, wanted, due_first = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local outboxes = KEYS[7]
local OUTBOX = string.sub(outboxes, 1, -3) .. ':' -- what an outbox's name begins with; its target follows
local WRONG_KEY = 10000 -- ms until a result is tried again whose key is no stream
local BESIDE = 1000 -- ms until what must not run beside another such task is tried again
local SMALL = 1000 -- bytes of a result for which there is room without memory, as there is to note that a task runs
must_be(outboxes, 'set')

local DONE = {ack = true, acks = true, whole = true} -- nothing is written for them before the acknowledgement
local acked, marks = {}, {}

local function acknowledge(id, its_token)
  acked[#acked + 1] = id
  marks[#marks + 1] = at_now
  marks[#marks + 1] = id .. ' ' .. its_token
end

local function flush()
  if #acked == 0 then return end
  redis.call('XACK', stream, group, unpack(acked))
  -- A server out of memory refuses marks, not acknowledgements.
  redis.pcall('ZADD', done, unpack(marks))
  redis.call('ZREMRANGEBYSCORE', done, '-inf', now - DONE_KEPT)
  redis.call('PEXPIRE', done, DONE_KEPT)
  redis.call('HDEL', lease, unpack(acked))
  if redis.call('EXISTS', attempts) == 1 then
    for _, id in ipairs(acked) do redis.call('HDEL', attempts, id, id .. ':crashes') end
  end
  acked, marks = {}, {}
end

local function fail(id, row, reason, cause, charge, delay)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then
    redis.call('XACK', stream, group, id)
    forget(id)
    return 'gone'
  end
  local task = task_of(entry, attempts)
  task.attempts = task.attempts + charge
  reason = reason or exhausted(task.attempts, task.deliveries + row[4], max_deliveries)
  if reason then
    local verdict = bury(row, entry, task, reason, cause)
    if verdict == 'held' and charge > 0 then redis.call('HINCRBY', attempts, id, charge) end
    return verdict
  end
  park(id, now + delay)
  if charge > 0 then redis.call('HINCRBY', attempts, id, charge) end
  note(task.id, 'state', 'waiting', 'error', cause)
  return 'parked'
end

-- What goes out with an acknowledgement: {key, values} each.
local function emits(at, stop)
  local found = {}
  while at < stop do
    local values, n = {}, tonumber(ARGV[at + 1])
    for i = at + 2, at + 1 + n do values[#values + 1] = ARGV[i] end
    found[#found + 1] = {KEYS[tonumber(ARGV[at])], values}
    at = at + 2 + n
  end
  return found
end

-- `row` names it for good, so that a relay delivers it once.
local function emit(key, values, row)
  if string.sub(key, 1, #OUTBOX) == OUTBOX then
    redis.call('SADD', outboxes, string.sub(key, #OUTBOX + 1))
    for _, value in ipairs({'sq-enqueued-at', now, 'sq-row', row}) do values[#values + 1] = value end
  end
  redis.call('XADD', key, '*', unpack(values))
end

local function ack(id, its_token, at, count)
  if results_ttl > 0 then must_reach(results_prefix .. ARGV[at], flush) end
  local going = emits(at + 2, at + count)
  for _, each in ipairs(going) do
    local found = redis.call('TYPE', each[1]).ok
    if found ~= 'stream' and found ~= 'none' then
      return fail(id, row_of(id), nil, 'the result cannot go to ' .. each[1] .. ', which is a ' .. found, 1, WRONG_KEY)
    end
  end
  for n, each in ipairs(going) do emit(each[1], each[2], id .. ':' .. its_token .. ':' .. n) end
  acknowledge(id, its_token)
  -- Or who waits for it would wait for ever.
  if results_ttl > 0 and #ARGV[at + 1] <= SMALL then go_on_without_memory() end
  note(ARGV[at], 'state', 'done', 'result', ARGV[at + 1])
  announce(ARGV[at])
  return 'acked'
end

local function not_mine(id, its_token)
  return redis.call('ZSCORE', done, id .. ' ' .. its_token) and 'already-mine' or 'stolen'
end

local function settle(kind, id, its_token, at, count)
  local row = mine(id, its_token)
  if not row then return not_mine(id, its_token) end
  if kind == 'ack' then return ack(id, its_token, at, count) end
  if kind == 'crash' then redis.call('HINCRBY', attempts, id .. ':crashes', 1) end
  if kind == 'retry' or kind == 'crash' then
    return fail(id, row, nil, ARGV[at + 2], tonumber(ARGV[at + 1]), tonumber(ARGV[at]))
  end
  if kind == 'dead' then return fail(id, row, ARGV[at], ARGV[at + 1], 1, nil) end
  park(id, now)
  return 'released'
end

local verdicts = {}

local function verdict(word, times)
  local last = verdicts[#verdicts]
  if last and last[1] == word then last[2] = last[2] + times else verdicts[#verdicts + 1] = {word, times} end
end

-- Which of these ids are mine(), and how many, with few calls.
local function all_mine(ids, its_token)
  local leases = redis.call('HMGET', lease, unpack(ids))
  -- They are mostly neighbours. One that is out of these bounds is looked up alone.
  local held, start = {}, its_token .. ' '
  for _, row in ipairs(redis.call('XPENDING', stream, group, ids[1], ids[#ids], 2 * #ids, consumer)) do
    held[row[1]] = true
  end
  local found, count, alike = {}, 0, nil -- taken together, they have one value until some are renewed
  for n, id in ipairs(ids) do
    local value = leases[n]
    if value and value ~= alike and string.sub(value, 1, #start) == start then alike = value end
    if value and value == alike and (held[id] or mine(id, its_token)) then
      found[id] = true
      count = count + 1
    end
  end
  return found, count
end

-- With a `mark`, which stands for all of them, none has one of its own, unless some are lost.
local function ack_all(ids, its_token, mark)
  if mark and redis.call('ZSCORE', done, mark) then return verdict('already-mine', #ids) end
  local found, count = all_mine(ids, its_token)
  if mark and count == #ids then
    for _, id in ipairs(ids) do acked[#acked + 1] = id end
    marks[#marks + 1] = at_now
    marks[#marks + 1] = mark
    return verdict('acked', #ids)
  end
  for _, id in ipairs(ids) do
    if found[id] then acknowledge(id, its_token) end
    verdict(found[id] and 'acked' or not_mine(id, its_token), 1)
  end
end

local i = 11
while i <= #ARGV do
  local kind, its_token, count = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 3])
  -- What follows may be refused for want of memory, and would take along what is done.
  if not DONE[kind] or (kind == 'ack' and count > 2) then flush() end
  if kind == 'acks' or kind == 'whole' then
    local ids = {}
    for id in string.gmatch(ARGV[i + 4], '[^ ]+') do ids[#ids + 1] = id end
    ack_all(ids, its_token, kind == 'whole' and its_token .. ' ' .. redis.sha1hex(ARGV[i + 4]))
  else
    verdict(settle(kind, ARGV[i + 1], its_token, i + 4, count), 1)
  end
  i = i + 4 + count
end
flush()

local taken, ids, fields = {}, {}, {} -- the last two of new ones
local is_full = false -- a worker died of what was taken: with it nothing else is, or would be charged for its next victim

local function take(id)
  local crashed = redis.call('HGET', attempts, id .. ':crashes') ~= false
  if crashed and #taken + #ids > 0 then return end
  if crashed and is_beside_a_suspect() then
    redis.pcall('ZADD', due, now + BESIDE, id)
    return
  end
  local row = row_of(id)
  if not row then forget(id) end
  if row and row[2] == PARKED then taken[#taken + 1] = hand_over(id, row, token, 'dead-letter stream was full') end
  is_full = crashed and #taken > 0
  -- A full dead-letter stream may have parked it again.
  local score = tonumber(redis.call('ZSCORE', due, id))
  if score and score <= now then redis.call('ZREM', due, id) end
end

local function take_due(limit)
  if limit <= 0 then return end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, limit)) do
    if is_full then return end
    take(id)
  end
end

local function take_new(limit)
  if limit <= 0 or is_full then return end
  local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', limit, 'STREAMS', stream, '>')
  if not reply then return end
  local leases, size, value = {}, 0, renewed(token)
  for n, entry in ipairs(reply[1][2]) do
    local id = entry[1]
    ids[n], fields[n] = id, entry[2]
    if size > MAX_ARGS then
      redis.call('HSET', lease, unpack(leases))
      leases, size = {}, 0
    end
    leases[size + 1], leases[size + 2] = id, value
    size = size + 2
    if results_ttl > 0 then
      local task = task_of(entry, attempts)
      note(task.id, 'state', 'running', 'attempt', task.attempts + 1, 'started', now)
    end
  end
  if size > 0 then redis.call('HSET', lease, unpack(leases)) end
end

-- A key of another type cordons nobody.
local cordoned = wanted > 0 and redis.pcall('SISMEMBER', KEYS[8], worker_of(consumer)) == 1
if wanted > 0 and not cordoned then
  take_due(due_first)
  take_new(wanted - #taken)
  if not is_full then take_due(wanted - #taken - #ids) end
end
local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
return {verdicts, taken, {table.concat(ids, ' '), fields}, head[2] and math.max(0, tonumber(head[2]) - now) or -1, cordoned and 1 or 0}
