-- Remove dead letters up to an id. KEYS: dead-letter stream. ARGV: last id, most per call. Reply: how many.
local removed = 0
for _, letter in ipairs(redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[2])) do
  removed = removed + redis.call('XDEL', KEYS[1], letter[1])
end
return removed
