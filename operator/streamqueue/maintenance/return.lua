-- Give pending entries back: to workers that claim, as a copy at the stream's end, or as a dead letter.
-- KEYS: stream, dead-letter stream, and what SDK workers keep: lease hash, due sorted set, attempts hash; then the
-- stream of returns from consumers that are not known to be dead.
-- ARGV: group, max deliveries, dead-letter max length, cause, 1 if the consumer is known to be dead, consumer that holds
-- parked retries, 1 if copies may reach other groups, prefix of the result keys (in the stream's slot), results' TTL ms
-- (0: none kept), 1 if workers claim, and lease what they begin, prefix of the marks of what was sent (in the stream's
-- slot); then per entry: id, consumer, idle ms seen, charge (0 or 1).
-- Reply: counts of returned, dead-lettered, held back, dropped, left for a worker that claims, moved, leased, handed on.
-- Lua does not roll back: each entry is appended first and acknowledged last, so that a failure may double it, never lose it.
local stream, dlq, lease, due, attempts, returns = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local group, max_deliveries, dlq_max, cause = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local is_dead, RETRIES = ARGV[5] == '1', ARGV[6]
local results, results_ttl, are_leasing, sent = ARGV[8], tonumber(ARGV[9]), ARGV[10] == '1', ARGV[11]
local RECORDS = 1000 -- of returns that nobody has counted yet, about so many are kept
local KEEP = 30 * 86400 * 1000 -- ms after which the key of a deleted queue is gone
local RETURNED, DEAD, HELD_BACK, DROPPED, NEEDS_WORKER, MOVED, LEASED, HANDED_ON = 1, 2, 3, 4, 5, 6, 7, 8

local dlq_kind = redis.call('TYPE', dlq).ok
if dlq_kind ~= 'none' and dlq_kind ~= 'stream' then return redis.error_reply('WRONGTYPE of the dead-letter key') end
for key, kind in pairs({[lease] = 'hash', [due] = 'zset', [attempts] = 'hash'}) do
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then return redis.error_reply('WRONGTYPE of a key of the workers') end
end
local copies = #redis.call('XINFO', 'GROUPS', stream) == 1 or ARGV[7] == '1'

local function acknowledge(id)
  redis.call('XACK', stream, group, id)
  redis.call('HDEL', lease, id)
  redis.call('HDEL', attempts, id, id .. ':crashes', id .. ':cause')
  redis.call('ZREM', due, id)
end

-- For a count: it may fail, and the entry is back at work all the same.
local function record(consumer, idle)
  if is_dead or consumer == RETRIES then return end
  redis.pcall('XADD', returns, 'MAXLEN', '~', RECORDS, '*', 'consumer', consumer, 'cause', cause,
    'delivered-at', now - idle)
  redis.pcall('PEXPIRE', returns, KEEP)
end

-- Who asks for the task, or waits for it, is told that it is over.
local function note_death(task, consumer, why)
  if results_ttl == 0 then return end
  redis.pcall('HSET', results .. task, 'state', 'dead', 'error', why, 'consumer', consumer, 'at', now)
  redis.pcall('PEXPIRE', results .. task, results_ttl)
end

-- A worker that claims holds it, or will: leave it alone.
local function is_leased(id, consumer, held)
  if consumer == RETRIES then return are_leasing or (tonumber(redis.call('ZSCORE', due, id)) or 0) > now end
  if not held or is_dead then return false end
  return tonumber(string.match(held, ' (%d+)$')) > now or not (copies or are_leasing)
end

-- From a dead worker to the next that claims, at once; the old run's token is gone with the lease. In this order a server
-- out of memory takes it. A copy would not tell that a worker died of it.
local function hand_on(id, consumer, idle, charge)
  redis.call('XCLAIM', stream, group, RETRIES, 0, id, 'JUSTID')
  redis.call('ZADD', due, now, id)
  if charge > 0 then
    redis.call('HINCRBY', attempts, id, charge)
    redis.call('HINCRBY', attempts, id .. ':crashes', charge)
  end
  redis.call('HDEL', lease, id)
  record(consumer, idle)
  return HANDED_ON
end

local function append(key, task, extra)
  local args = {}
  for _, value in ipairs(task.fields) do args[#args + 1] = value end
  for _, value in ipairs({'sq-id', task.id, 'sq-attempt', task.attempts, 'sq-deliveries', task.deliveries,
                          'sq-enqueued-at', task.since}) do
    args[#args + 1] = value
  end
  for _, value in ipairs(extra) do args[#args + 1] = value end
  return redis.call('XADD', key, '*', unpack(args))
end

local seen, waited = {}, {}

-- What waited to run alone has no lease from here on, and so pays nothing, also to a later call: then what ran is in
-- other hands.
local function spare(consumer)
  if seen[consumer] then return end
  seen[consumer] = true
  for _, id in ipairs(waiting_of(consumer, stream, group, lease, attempts)) do
    waited[id] = redis.call('HGET', lease, id)
    redis.call('HDEL', lease, id)
  end
end

local function give_back(id, consumer, idle, charge)
  local row = redis.call('XPENDING', stream, group, id, id, 1)[1]
  if not row or row[2] ~= consumer or row[3] < idle then return MOVED end
  local held = waited[id] or redis.call('HGET', lease, id)
  if is_leased(id, consumer, held) then return LEASED end
  if held then spare(consumer) end
  if consumer == RETRIES or are_leasing and not held or waited[id] then charge = 0 end
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then
    acknowledge(id)
    return DROPPED
  end
  local task = task_of(entry, attempts)
  task.attempts = task.attempts + charge
  task.deliveries = task.deliveries + row[4]
  if #task.fields > MAX_ARGS then return HELD_BACK end
  local reason = exhausted(task.attempts, task.deliveries, max_deliveries)
  if reason then
    if redis.call('XLEN', dlq) >= dlq_max then return HELD_BACK end
    if results_ttl > 0 then must_reach(results .. task.id) end
    local why = redis.call('HGET', attempts, id .. ':cause') or cause -- of one that found no room
    append(dlq, task, {'sq-reason', reason, 'sq-cause', why, 'sq-entry', id, 'sq-consumer', consumer,
                       'sq-delivered-at', now - row[3], 'sq-dead-at', now})
    acknowledge(id)
    note_death(task.id, consumer, why)
    return DEAD
  end
  if are_leasing or held and is_dead then return hand_on(id, consumer, row[3], charge) end
  if not copies then return NEEDS_WORKER end
  local copy = append(stream, task, {})
  acknowledge(id)
  redis.pcall('SET', sent .. task.id, copy, 'XX', 'KEEPTTL') -- for those who ask where it is
  record(consumer, row[3])
  return RETURNED
end

local counts = {0, 0, 0, 0, 0, 0, 0, 0}
for i = 12, #ARGV, 4 do
  local outcome = give_back(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]))
  counts[outcome] = counts[outcome] + 1
end
return counts
