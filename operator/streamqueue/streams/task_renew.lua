-- Renew the leases of all that runs, and note its progress.
-- ARGV from 8 on: id, token, task id, progress ('' none). Reply: which of them are lost, counted from 0: a worker
-- may hold an entry twice, under a token that is lost and under one that is not.
local lost = {}
go_on_without_memory()
for i = 8, #ARGV, 4 do
  local id, token = ARGV[i], ARGV[i + 1]
  if mine(id, token) then
    -- Resets the idle time, for those who judge by it alone. From Redis 7 on it would take away the row of an entry that
    -- was trimmed, whose run may well end.
    if redis.call('XRANGE', stream, id, id)[1] then
      redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
    end
    redis.call('HSET', lease, id, renewed(token))
    if ARGV[i + 3] ~= '' then note(ARGV[i + 2], 'state', 'running', 'progress', ARGV[i + 3]) end
  elseif not redis.call('ZSCORE', done, id .. ' ' .. token) then
    lost[#lost + 1] = (i - 8) / 4
  end
end
return lost
