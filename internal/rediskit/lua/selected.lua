-- selected: whether a job is one that a selector asks for. What the selector
-- leaves empty does not count; a record that does not say is not asked for.
local function selected(sel, id, r)
  if sel.owner ~= '' and sel.owner ~= r.owner then return false end
  if sel.kind ~= '' and sel.kind ~= r.kind then return false end
  if sel.spend ~= '' and (tonumber(r.spent) or 0) < tonumber(sel.spend) then return false end
  local model = sel.model or '' -- an order of an older build has none
  if sel.before == '' and model == '' and next(sel.labels) == nil then return true end
  local v = redis.call('HMGET', P.job .. id, 'labels', 'created_at', 'models')
  if model ~= '' and not string.find(v[3] or '', '\n' .. model .. '\n', 1, true) then return false end
  if sel.before ~= '' and (tonumber(v[2] or '') or math.huge) > tonumber(sel.before) then return false end
  local ok, labels = pcall(cjson.decode, v[1] or '{}')
  for k, want in pairs(sel.labels) do
    if not ok or type(labels) ~= 'table' or labels[k] ~= want then return false end
  end
  return true
end
