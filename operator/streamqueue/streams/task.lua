-- Put in front of the scripts that take tasks back, wherever those run.
local MAX_ARGS = 7000 -- Lua's unpack ends at 8,000
local RAW_FACTOR = 20 -- deliveries that were never charged end somewhere, too

-- The task behind an entry: the producer's fields, what earlier copies carried along, and `attempts`, a hash, kept since.
local function task_of(entry, attempts)
  local task = {id = entry[1], attempts = 0, deliveries = 0, since = string.match(entry[1], '^%d+'), fields = {}}
  for i = 1, #entry[2], 2 do
    local name, value = entry[2][i], entry[2][i + 1]
    if name == 'sq-id' then task.id = value
    elseif name == 'sq-attempt' then task.attempts = tonumber(value) or 0
    elseif name == 'sq-deliveries' then task.deliveries = tonumber(value) or 0
    elseif name == 'sq-enqueued-at' then task.since = value
    else
      task.fields[#task.fields + 1] = name
      task.fields[#task.fields + 1] = value
    end
  end
  task.attempts = task.attempts + (tonumber(redis.call('HGET', attempts, entry[1])) or 0)
  return task
end

-- Why a task with this account is tried no more; false if it is.
local function exhausted(attempts, deliveries, max_deliveries)
  return attempts >= max_deliveries and 'max-deliveries'
    or deliveries >= max_deliveries * RAW_FACTOR and 'max-raw-deliveries'
end

-- What waits in the hands of this consumer, which holds something: ids. What workers died of runs with nothing beside it;
-- while the consumer has a lease of anything else, it has not begun it.
local function waiting_of(consumer, stream, group, lease, attempts)
  if redis.call('EXISTS', attempts) == 0 then return {} end
  local ids, suspects = {}, {}
  for n, row in ipairs(redis.call('XPENDING', stream, group, '-', '+', 1000, consumer)) do
    ids[n], suspects[n] = row[1], row[1] .. ':crashes'
  end
  local leases, crashes = redis.call('HMGET', lease, unpack(ids)), redis.call('HMGET', attempts, unpack(suspects))
  local waiting, is_busy = {}, false
  for n, id in ipairs(ids) do
    if leases[n] and crashes[n] then waiting[#waiting + 1] = id end
    is_busy = is_busy or leases[n] and not crashes[n]
  end
  return is_busy and waiting or {}
end

-- While a cluster's slot moves a result may be out of reach, and who waits for the task would never be told that it is
-- over. So it isn't before the slot has moved: to be called before anything is written for its end. `flush` (or nil)
-- keeps what was done before.
local function must_reach(result, flush)
  local refusal = redis.pcall('EXISTS', result)
  if type(refusal) ~= 'table' or not string.find(refusal.err, 'non local key', 1, true) then return end
  if flush then flush() end
  error(refusal.err, 0)
end

