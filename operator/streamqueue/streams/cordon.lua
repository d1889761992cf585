-- These workers, and no others, take no more for a while. KEYS[1]: set of them. ARGV: ms until it expires, workers.
local key = KEYS[1]
redis.call('DEL', key)
if #ARGV == 1 then return 0 end
redis.call('SADD', key, ARGV[2])
-- Nobody is told for ever: the expiry comes before all others.
local answer = redis.pcall('PEXPIRE', key, ARGV[1])
if type(answer) == 'table' then
  redis.call('DEL', key)
  return answer
end
for i = 3, #ARGV do redis.call('SADD', key, ARGV[i]) end
return #ARGV - 1
