-- These workers, and no others, take no more for a while. KEYS[1]: set of them. ARGV: ms until it expires, workers.
local key = KEYS[1]
redis.call('DEL', key)
for i = 2, #ARGV do redis.call('SADD', key, ARGV[i]) end
redis.call('PEXPIRE', key, ARGV[1])
return 1
