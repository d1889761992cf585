-- Put dead letters back into the stream, with a fresh account; each is appended first and removed last.
-- KEYS: dead-letter stream, stream. ARGV: group, last id, most per call.
-- Reply: {count, 1 if there may be more}; {-1, 0} if a copy would reach other groups.
local dlq, stream, group, last, most = KEYS[1], KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3])
local OWN = {['sq-attempt'] = 1, ['sq-deliveries'] = 1, ['sq-enqueued-at'] = 1, ['sq-reason'] = 1, ['sq-cause'] = 1,
             ['sq-entry'] = 1, ['sq-consumer'] = 1, ['sq-delivered-at'] = 1, ['sq-dead-at'] = 1}

if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('TYPE', stream).ok == 'none' then return redis.error_reply('NOGROUP no such stream') end
local groups = redis.call('XINFO', 'GROUPS', stream)
local mine = false
for _, flat in ipairs(groups) do
  for i = 1, #flat, 2 do mine = mine or (flat[i] == 'name' and flat[i + 1] == group) end
end
if not mine then return redis.error_reply('NOGROUP no such group') end
if #groups ~= 1 then return {-1, 0} end

local letters = redis.call('XRANGE', dlq, '-', last, 'COUNT', most)
for _, letter in ipairs(letters) do
  local args = {}
  for i = 1, #letter[2], 2 do
    if not OWN[letter[2][i]] then
      args[#args + 1] = letter[2][i]
      args[#args + 1] = letter[2][i + 1]
    end
  end
  redis.call('XADD', stream, '*', 'sq-enqueued-at', now, unpack(args))
  redis.call('XDEL', dlq, letter[1])
end
return {#letters, #letters == most and 1 or 0}
