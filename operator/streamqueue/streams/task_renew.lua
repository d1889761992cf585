-- Renew the leases of all that runs, and note its progress.
-- ARGV from 8 on: id, token, task id, progress ('' none). Reply: ids whose lease is lost.
local lost = {}
for i = 8, #ARGV, 4 do
  local id, token = ARGV[i], ARGV[i + 1]
  if mine(id, token) then
    redis.call('HSET', lease, id, renewed(token))
    -- Resets the idle time, for those who judge by it alone.
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
    if ARGV[i + 3] ~= '' then note(ARGV[i + 2], 'state', 'running', 'progress', ARGV[i + 3]) end
  elseif not redis.call('ZSCORE', done, id .. ' ' .. token) then
    lost[#lost + 1] = id
  end
end
return lost
