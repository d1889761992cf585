-- Delete this consumer if it holds nothing: DELCONSUMER discards pending entries, hence one script. Reply: 1 if deleted.
if #redis.call('XPENDING', stream, group, '-', '+', 1, consumer) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
return 1
