// SPDX-License-Identifier: GPL-2.0-only
// Backend of the tests on Node's http module: backend.js NAME PORT [ADDRESS]
// The same paths as backend.py.
'use strict';
const http = require('http');

const [name, port, address] = process.argv.slice(2);
const PERIOD = 65521;
const CHUNK_SIZES = [1, 7, 64, 1000, 4096, 65536];

const table = Buffer.alloc(PERIOD);
for (let i = 0, x = 1; i < PERIOD; i++) {
  x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
  table[i] = (x >> 16) & 0xff;
}

function pattern(size, seed) {
  const out = Buffer.alloc(size);
  let from = (seed * 7919) % PERIOD;
  for (let at = 0; at < size; from = 0) {
    at += table.copy(out, at, from, Math.min(PERIOD, from + size - at));
  }
  return out;
}

function answer(res, status, body, headers) {
  res.writeHead(status, {
    'X-Backend': name,
    ...(body ? {'Content-Length': body.length} : {}),
    ...headers,
  });
  res.end(body);
}

function answerChunked(res, body) {
  res.writeHead(200, {'X-Backend': name});
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const size = CHUNK_SIZES[turn % CHUNK_SIZES.length];
    res.write(body.subarray(at, at + size));
    at += size;
  }
  res.end();
}

function serve(req, res, body) {
  const words = req.url.split('?')[0].split('/').slice(1);
  if (words[0] === 'service') words.splice(0, 2);
  switch (words[0]) {
    case 'bytes': return answer(res, 200, pattern(+words[1], +words[2]));
    case 'chunked': return answerChunked(res, pattern(+words[1], +words[2]));
    case 'echo': return answer(res, 200, body);
    case 'echo-chunked': return answerChunked(res, body);
    case 'status': return answer(res, +words[1], null);
    case 'slow': return setTimeout(() => answer(res, 200, Buffer.from(name)), +words[1]);
    case 'close': return answer(res, 200, Buffer.from(name), {'Connection': 'close'});
    default: return answer(res, 200, Buffer.from(name));
  }
}

const server = http.createServer((req, res) => {
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => serve(req, res, Buffer.concat(parts)));
});
server.keepAliveTimeout = 600000;
server.listen({port: +port, host: address || '127.0.0.1', backlog: 1024});
