-- SPDX-License-Identifier: GPL-2.0-only
-- The tutorial's routes by turns, for wrk.
local n = 0
local canary = { ["x-canary-version"] = "service1a" }
request = function()
  n = n + 1
  if n % 3 == 0 then
    return wrk.format("GET", "/service/1", canary)
  elseif n % 3 == 1 then
    return wrk.format("GET", "/service/1")
  end
  return wrk.format("GET", "/service/2")
end
