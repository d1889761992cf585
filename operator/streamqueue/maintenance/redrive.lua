-- Put dead letters back to work, with a fresh account; each is appended first and removed last.
-- KEYS: dead-letter stream, target stream. ARGV: group ('' where the target is another stream than the group's), 1 if
-- copies may reach other groups, prefixes of the result keys and of the marks of what was sent (in the stream's slot),
-- then ids.
-- Reply: count of letters that were still there; -1 if a copy would reach other groups.
local dlq, target, group, results, sent = KEYS[1], KEYS[2], ARGV[1], ARGV[3], ARGV[4]
local OWN = {['sq-attempt'] = 1, ['sq-deliveries'] = 1, ['sq-enqueued-at'] = 1, ['sq-reason'] = 1, ['sq-cause'] = 1,
             ['sq-entry'] = 1, ['sq-consumer'] = 1, ['sq-delivered-at'] = 1, ['sq-dead-at'] = 1}

if reaches_others(target, group) and ARGV[2] ~= '1' then return -1 end

-- Who asks for the task is told where it is, and that it is dead no more. While a cluster's slot moves, the key that isn't
-- there can't be asked for: that keeps no letter from its removal.
local function note(task, entry)
  if group == '' then return end
  redis.pcall('SET', sent .. task, entry, 'XX', 'KEEPTTL')
  if redis.pcall('EXISTS', results .. task) ~= 1 then return end
  redis.pcall('HSET', results .. task, 'state', 'waiting', 'at', now)
end

local count = 0
for i = 5, #ARGV do
  local letter = redis.call('XRANGE', dlq, ARGV[i], ARGV[i])[1]
  if letter then
    local args, task = {}, ''
    for j = 1, #letter[2], 2 do
      if letter[2][j] == 'sq-id' then task = letter[2][j + 1] end
      if not OWN[letter[2][j]] then
        args[#args + 1] = letter[2][j]
        args[#args + 1] = letter[2][j + 1]
      end
    end
    note(task, redis.call('XADD', target, '*', 'sq-enqueued-at', now, unpack(args)))
    redis.call('XDEL', dlq, ARGV[i])
    count = count + 1
  end
end
return count
