-- hint: an order over one job is told to the worker that runs it, and to nobody
-- else: with all of them listening on one stream a kill would cost as many
-- wake-ups as there are workers. The stream goes an hour after its last entry;
-- whoever misses it learns from the next renewal, as does one whose stream takes no
-- more: an order is not kept from its record by that.
local function hint(worker, ...)
  local k = P.hints .. worker
  redis.pcall('XADD', k, 'MAXLEN', '~', '10000', '*', ...)
  redis.call('EXPIRE', k, '3600')
end
