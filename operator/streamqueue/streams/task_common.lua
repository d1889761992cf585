-- What the scripts of a worker share; put in front of each of them.
-- KEYS: stream, lease hash, due sorted set, attempts hash, done sorted set, dead-letter stream.
-- ARGV: group, consumer, visibility timeout ms, max deliveries, dead-letter max length, results' TTL ms (0: none kept),
-- prefix of the result keys (in the stream's slot), then the script's own from ARGV[8] on.
-- Lua does not roll back: append first; acknowledge, delete and mark last. A failure may double, never lose.
local stream, lease, due, attempts, done, dlq = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local group, consumer, visibility = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_deliveries, dlq_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local results_ttl, results_prefix = tonumber(ARGV[6]), ARGV[7]
local PARKED = 'streamqueue:parked' -- holds what waits for its retry, so that no worker looks busy with it
local HOLD = 60000 -- ms until a dead-letter stream that is full is tried again
local DONE_KEPT = 60000 -- ms: longer than a repeated call comes after a lost reply

local at_now = string.format('%d', now) -- a number is written anew for each argument that it is

local function must_be(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then error('WRONGTYPE ' .. kind .. ' expected at a key of the queue') end
  return found
end

local function row_of(id) return redis.call('XPENDING', stream, group, id, id, 1)[1] end

local function lease_of(id)
  local value = redis.call('HGET', lease, id)
  if not value then return nil, 0 end
  local token, expiry = string.match(value, '^(%S+) (%d+)$')
  return token, tonumber(expiry)
end

local function forget(id)
  redis.call('HDEL', lease, id)
  redis.call('HDEL', attempts, id, id .. ':crashes', id .. ':cause')
end

local function worker_of(name) return string.match(name, '^(.*)%.') or name end

-- Whether another process of this container has in hand what a worker died of. Where the kernel ends the container for
-- want of memory all of them die, and what runs side by side would pay together until all of it is dead.
local function is_beside_a_suspect()
  for _, owner in ipairs(redis.call('XPENDING', stream, group)[4] or {}) do
    if owner[1] ~= consumer and worker_of(owner[1]) == worker_of(consumer) then
      for _, row in ipairs(redis.call('XPENDING', stream, group, '-', '+', 1000, owner[1])) do
        local _, expiry = lease_of(row[1])
        if expiry > now and redis.call('HEXISTS', attempts, row[1] .. ':crashes') == 1 then return true end
      end
    end
  end
  return false
end

-- The pending row, if this consumer owns it and the token is that of its last delivery. Where somebody else acknowledged
-- it, or it went with its group, nobody else would forget it.
local function mine(id, token)
  if lease_of(id) ~= token then return nil end
  local row = row_of(id)
  if not row then forget(id) end
  if row and row[2] == consumer then return row end
end

local function renewed(token) return token .. ' ' .. string.format('%d', now + visibility) end

-- A server out of memory refuses the first write of a script that may take some, and none after another: what is in hand
-- keeps its lease.
local function go_on_without_memory() redis.call('ZREMRANGEBYSCORE', done, '-inf', now - DONE_KEPT) end

-- State by task id. Best effort: a server out of memory must still take acknowledgements.
local function note(task_id, ...)
  if results_ttl == 0 then return end
  local key = results_prefix .. task_id
  redis.pcall('HSET', key, 'consumer', consumer, 'at', now, ...)
  redis.pcall('PEXPIRE', key, results_ttl)
end

local function announce(task_id)
  if results_ttl > 0 then redis.pcall('PUBLISH', results_prefix .. task_id, 'over') end
end

-- To the parked consumer until `at`; the delivery count stays. In this order a server out of memory takes it; without
-- its time it would be found by task_claim.lua.
local function park(id, at)
  redis.call('XCLAIM', stream, group, PARKED, 0, id, 'JUSTID')
  redis.call('ZADD', due, at, id)
  redis.call('HDEL', lease, id)
end

-- Parked until there may be room, with what it died of: who looks then would not know.
local function hold(id, cause)
  park(id, now + HOLD)
  redis.pcall('HSET', attempts, id .. ':cause', cause)
  return 'held'
end

-- To the dead-letter stream, in the form that the reclaim pass uses; held back (parked) while that stream is full, or
-- the server: what is done would wait for it.
local function bury(row, entry, task, reason, cause)
  local id = entry[1]
  if #task.fields > MAX_ARGS or redis.call('XLEN', dlq) >= dlq_max then return hold(id, cause) end
  if results_ttl > 0 then must_reach(results_prefix .. task.id) end
  local args = {}
  for _, value in ipairs(task.fields) do args[#args + 1] = value end
  for _, value in ipairs({'sq-id', task.id, 'sq-attempt', task.attempts, 'sq-deliveries', task.deliveries + row[4],
                          'sq-enqueued-at', task.since, 'sq-reason', reason, 'sq-cause', cause, 'sq-entry', id,
                          'sq-consumer', row[2], 'sq-delivered-at', now - row[3], 'sq-dead-at', now}) do
    args[#args + 1] = value
  end
  local refusal = redis.pcall('XADD', dlq, '*', unpack(args))
  if type(refusal) == 'table' then
    if not string.find(refusal.err, 'OOM', 1, true) then error(refusal.err, 0) end
    return hold(id, cause)
  end
  redis.call('XACK', stream, group, id)
  forget(id)
  note(task.id, 'state', 'dead', 'error', cause)
  announce(task.id)
  return 'dead'
end

-- A pending entry of someone else into this consumer's hands; nil if it is gone or dead now.
local function hand_over(id, row, token, cause)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then
    redis.call('XACK', stream, group, id)
    forget(id)
    return nil
  end
  local task = task_of(entry, attempts)
  local reason = exhausted(task.attempts, task.deliveries + row[4], max_deliveries)
  if reason then
    bury(row, entry, task, reason, redis.call('HGET', attempts, id .. ':cause') or cause)
    return nil
  end
  redis.call('HDEL', attempts, id .. ':cause')
  redis.call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', row[4] + 1, 'JUSTID')
  redis.call('HSET', lease, id, renewed(token))
  note(task.id, 'state', 'running', 'attempt', task.attempts + 1, 'started', now)
  return {id, entry[2], task.attempts, tonumber(redis.call('HGET', attempts, id .. ':crashes')) or 0, row[4] + 1}
end

if must_be(stream, 'stream') == 'none' then return redis.error_reply('NOGROUP no such stream') end
must_be(lease, 'hash')
must_be(due, 'zset')
must_be(attempts, 'hash')
must_be(done, 'zset')
must_be(dlq, 'stream')
