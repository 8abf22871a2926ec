// SPDX-License-Identifier: GPL-2.0-only
// Node's fetch as a client: fetch.mjs BASE; each body is checked byte for byte.
const base = process.argv[2];
const PERIOD = 65521;
const table = Buffer.alloc(PERIOD);
for (let i = 0, x = 1; i < PERIOD; i++) {
  x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
  table[i] = (x >> 16) & 0xff;
}

function pattern(size, seed) {
  const out = Buffer.alloc(size);
  for (let i = 0, at = (seed * 7919) % PERIOD; i < size; i++, at = (at + 1) % PERIOD) {
    out[i] = table[at];
  }
  return out;
}

async function check(what, response, want) {
  const got = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200 || !got.equals(want)) {
    throw new Error(`${what}: ${response.status}, ${got.length} bytes of ${want.length}`);
  }
}

async function exchange(size, seed) {
  const body = pattern(size, seed);
  await check(`GET ${size}`, await fetch(`${base}/bytes/${size}/${seed}`), body);
  await check(`chunked ${size}`, await fetch(`${base}/chunked/${size}/${seed}`), body);
  await check(`POST ${size}`, await fetch(`${base}/echo`, {method: 'POST', body}), body);
}

for (const size of [0, 1, 1000, 65536, 1000000]) {
  for (let seed = 1; seed <= 5; seed++) await exchange(size, seed);
}
await Promise.all([...Array(200).keys()].map((i) => exchange(i * 131, i)));
console.log('all equal');
