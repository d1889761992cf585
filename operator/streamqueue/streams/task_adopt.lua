-- Register what this consumer holds but does not run: what a blocked read brought, or what a lost reply hid.
-- ARGV[8..9]: token, most entries; then the ids that the consumer runs. Reply: entries.
local token, most = ARGV[8], tonumber(ARGV[9])
local running, count = {}, 0
for i = 10, #ARGV do
  running[ARGV[i]] = true
  count = count + 1
end

-- Whether the consumer has taken it since it asked: then this request comes late, and knows nothing of the run. Tokens of
-- one process are a name of 16 characters and a number that counts them.
local function is_taken_since(id)
  local held = lease_of(id)
  return held and string.sub(held, 1, 16) == string.sub(token, 1, 16)
    and tonumber(string.sub(held, 17), 16) > tonumber(string.sub(token, 17), 16)
end

local adopted = {}
go_on_without_memory()
for _, row in ipairs(redis.call('XPENDING', stream, group, '-', '+', count + most, consumer)) do
  local id = row[1]
  if not running[id] and #adopted < most and not is_taken_since(id) then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if entry then
      -- Never charged: the run it was meant for has not begun.
      redis.call('HSET', lease, id, renewed(token))
      local task = task_of(entry, attempts)
      note(task.id, 'state', 'running', 'attempt', task.attempts + 1, 'started', now)
      adopted[#adopted + 1] = {id, entry[2], task.attempts,
                               tonumber(redis.call('HGET', attempts, id .. ':crashes')) or 0, row[4]}
    else
      redis.call('XACK', stream, group, id)
      forget(id)
    end
  end
end
return adopted
