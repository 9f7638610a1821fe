// Checks proofs of the complete index, from docs/index.md alone: node index.mjs VECTORS. Prints what it checked, or what differs.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const hash = (...parts) => {
  const h = createHash('sha256');
  for (const p of parts) h.update(typeof p === 'string' ? Buffer.from(p, 'utf8') : p);
  return h.digest();
};
const u8 = (n) => Buffer.from([n]);
const u16 = (n) => { const b = Buffer.alloc(2); b.writeUInt16BE(n); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };

const bitAt = (key, i) => (key[i >> 3] >> (7 - (i & 7))) & 1;
const firstBits = (key, n) => {
  const out = Buffer.alloc(32);
  for (let i = 0; i < n; i++) out[i >> 3] |= bitAt(key, i) << (7 - (i & 7));
  return out;
};
const firstDifference = (a, b) => {
  for (let i = 0; i < 256; i++) if (bitAt(a, i) !== bitAt(b, i)) return i;
  return 256;
};

export const keyOf = {
  subject: (alg, digest) => hash(`subject:${alg}:${digest}`),
  target: (id) => hash(`target:${id}`),
  signer: (id) => hash(`issuer:${id}`),
  unresolved: (id) => hash(`unresolved:${id}`),
  identity: (issuer, subject) => hash(`issuer:sha256:${hash(`avow-identity-v1\n${issuer}\n${subject}\n`).toString('hex')}`),
  product: (id) => hash(`product:${id.startsWith('pkg:') ? id.split(/[@?#]/)[0] : id}`),
};

// The Merkle tree hash of RFC 6962, section 2.1, as it is defined there.
export const listRoot = (entries) => {
  if (entries.length === 0) return hash();
  if (entries.length === 1) return hash(u8(0), u64(entries[0].LogIndex), u8(entries[0].Kind));
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return hash(u8(1), listRoot(entries.slice(0, k)), listRoot(entries.slice(k)));
};

const malformed = 'INDEX_PROOF_MALFORMED';
const notShown = 'INDEX_NOT_SHOWN';

class Refused extends Error {}
const demand = (ok, code) => { if (!ok) throw new Refused(code); };

const leaf = (key, count, root) => hash(u8(0), key, u64(count), root);
const inner = (bit, prefix, left, right) => hash(u8(1), u16(bit), prefix, left, right);

// check returns what a proof shows: {shows: 'present', count, root} or {shows: 'absent'}; it throws Refused.
export const check = (root, key, proof) => {
  let at = 0;
  const take = (n) => { demand(at + n <= proof.length, malformed); at += n; return proof.subarray(at - n, at); };
  demand(take(1)[0] === 1, malformed);
  const terminal = take(1)[0];
  demand(terminal <= 3, malformed);
  const count = take(2).readUInt16BE();
  demand(count <= 256, malformed);
  const steps = [];
  for (let i = 0; i < count; i++) steps.push({ bit: take(1)[0], sibling: take(32) });
  const end = {};
  if (terminal === 2) end.key = take(32);
  if (terminal === 1 || terminal === 2) Object.assign(end, { count: take(8).readBigUInt64BE(), root: take(32) });
  if (terminal === 3) Object.assign(end, { bit: take(1)[0], prefix: take(32), left: take(32), right: take(32) });
  demand(at === proof.length, malformed);

  for (let i = 1; i < count; i++) demand(steps[i].bit > steps[i - 1].bit, malformed);
  demand(terminal !== 0 || count === 0, malformed);
  demand(end.count !== 0n, malformed);
  const last = count === 0 ? -1 : steps[count - 1].bit;
  if (terminal === 3) demand(end.bit > 0 && end.bit > last && firstBits(end.prefix, end.bit).equals(end.prefix), malformed);

  let h;
  switch (terminal) {
    case 0: h = hash(u8(2)); break;
    case 1: h = leaf(key, end.count, end.root); break;
    case 2: {
      const differs = firstDifference(key, end.key);
      demand(differs < 256 && differs > last, notShown);
      h = leaf(end.key, end.count, end.root);
      break;
    }
    case 3: {
      const differs = firstDifference(key, end.prefix);
      demand(differs > last && differs < end.bit, notShown);
      h = inner(end.bit, end.prefix, end.left, end.right);
    }
  }
  for (const { bit, sibling } of steps.reverse()) {
    h = bitAt(key, bit) === 0 ? inner(bit, firstBits(key, bit), h, sibling) : inner(bit, firstBits(key, bit), sibling, h);
  }
  demand(h.equals(root), 'INDEX_ROOT_MISMATCH');
  return terminal === 1 ? { shows: 'present', count: end.count, root: end.root } : { shows: 'absent' };
};

const rootMalformed = 'INDEX_ROOT_MALFORMED';

// parseRoot reads a leaf of the index log.
export const parseRoot = (text) => {
  const number = (s) => {
    demand(/^(0|[1-9][0-9]{0,18})$/.test(s) && BigInt(s) < 1n << 63n, rootMalformed);
    return BigInt(s);
  };
  const digest = (s) => {
    const b = Buffer.from(s, 'base64');
    demand(b.length === 32 && b.toString('base64') === s, rootMalformed);
    return b.toString('hex');
  };
  demand(Buffer.byteLength(text) <= 49152, rootMalformed);
  const lines = text.split('\n');
  demand(lines.length >= 7 && lines.length <= 9 && lines.pop() === '', rootMalformed);
  demand(lines[0] === 'avow index 1' && /^[!-~]{1,253}$/.test(lines[1]), rootMalformed);
  const root = { origin: lines[1], size: number(lines[2]), tree: digest(lines[3]), index: digest(lines[4]), keys: number(lines[5]) };
  const rest = lines.slice(6);
  for (const name of ['late', 'unresolved']) {
    root[name] = [];
    if (rest.length === 0 || !rest[0].startsWith(`${name} `)) continue;
    root[name] = rest.shift().slice(name.length + 1).split(' ').map(number);
    root[name].forEach((n, i) => demand(n < root.size && (i === 0 || n > root[name][i - 1]), rootMalformed));
  }
  demand(rest.length === 0 && root.late.length + root.unresolved.length <= 2048, rootMalformed);
  return root;
};

const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const hex = (s) => Buffer.from(s, 'hex');
let differences = 0;
const same = (what, got, want) => {
  if (got !== want) { differences++; console.log(`${what}: got ${got}, want ${want}`); }
};
for (const k of vectors.keys) same(`${k.kind} ${k.parts}`, keyOf[k.kind](...k.parts).toString('hex'), k.key);
for (const l of vectors.lists) same(`list of ${l.entries.length}`, listRoot(l.entries).toString('hex'), l.root);
for (const p of vectors.proofs) {
  let got;
  try {
    const shown = check(hex(p.root), hex(p.key), hex(p.proof));
    got = shown.shows;
    if (got === 'present') {
      same(`${p.name}: length`, shown.count, BigInt(p.list.length));
      same(`${p.name}: list`, listRoot(p.list).toString('hex'), shown.root.toString('hex'));
    }
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    got = e.message;
  }
  same(p.name, got, p.shows);
}
for (const r of vectors.roots) {
  const plain = (_, v) => (typeof v === 'bigint' ? Number(v) : v);
  let got;
  try {
    got = JSON.stringify(parseRoot(r.leaf), plain);
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    got = e.message;
  }
  same(`root, ${r.name}`, got, r.code ?? JSON.stringify(r.root));
}
console.log(`${vectors.keys.length} keys, ${vectors.lists.length} lists, ${vectors.proofs.length} proofs, ${vectors.roots.length} roots, ${differences} differences`);
process.exit(differences === 0 ? 0 : 1);
