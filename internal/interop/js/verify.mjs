// Verifies a bundle with an unmodified @sigstore/verify: signature by the given key, RFC 3161 timestamp, inclusion in the log.
// Usage: node verify.mjs TRUSTED_ROOT PUBLIC_KEY_PEM BUNDLE ARTIFACT
//        node verify.mjs TRUSTED_ROOT --identity SAN ISSUER BUNDLE ARTIFACT
// With an identity every option has its default, so the certificate needs a timestamp of a certificate log too.
// Prints one line of JSON; exits 0 when the bundle verifies, 1 when it is refused, 2 when it could not be evaluated.
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { PolicyError, toSignedEntity, toTrustMaterial, VerificationError, Verifier } from '@sigstore/verify';

function read(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

// keyFinder knows exactly one key, under the hint that Sigstore clients use: base64(SHA-256(SubjectPublicKeyInfo DER)).
function keyFinder(pem) {
  const publicKey = createPublicKey(pem);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const want = createHash('sha256').update(spki).digest('base64');
  return (hint) => {
    if (hint !== want) {
      throw new VerificationError({ code: 'PUBLIC_KEY_ERROR', message: `key hint ${hint}, want ${want}` });
    }
    return { publicKey, validFor: () => true };
  };
}

// subjectMatches is the caller's duty: @sigstore/verify does not compare a statement's subjects with the artifact.
function subjectMatches(bundle, artifact) {
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString('utf8'));
  const digest = createHash('sha256').update(artifact).digest('hex');
  return statement.subject.some((s) => s.digest.sha256 === digest);
}

function checkSubject(bundle, artifact) {
  if (!subjectMatches(bundle, artifact)) {
    throw new VerificationError({ code: 'SUBJECT', message: 'no subject has the digest of the artifact' });
  }
}

function byIdentity([rootPath, , san, issuer, bundlePath, artifactPath]) {
  const bundle = bundleFromJSON(read(bundlePath));
  const artifact = readFileSync(artifactPath);
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(read(rootPath))));
  verifier.verify(toSignedEntity(bundle, artifact), { subjectAlternativeName: san, extensions: { issuer } });
  checkSubject(bundle, artifact);
}

function main(args) {
  return args[1] === '--identity' ? byIdentity(args) : byKey(args);
}

function byKey([rootPath, keyPath, bundlePath, artifactPath]) {
  if (!artifactPath) {
    throw new Error('usage: node verify.mjs TRUSTED_ROOT PUBLIC_KEY_PEM BUNDLE ARTIFACT');
  }
  const root = TrustedRoot.fromJSON(read(rootPath));
  const bundle = bundleFromJSON(read(bundlePath));
  const artifact = readFileSync(artifactPath);
  const verifier = new Verifier(toTrustMaterial(root, keyFinder(readFileSync(keyPath, 'utf8'))), { ctlogThreshold: 0 });
  verifier.verify(toSignedEntity(bundle, artifact));
  checkSubject(bundle, artifact);
}

try {
  main(process.argv.slice(2));
  console.log(JSON.stringify({ verified: true }));
} catch (err) {
  const refused = err instanceof VerificationError || err instanceof PolicyError;
  console.log(JSON.stringify({ verified: false, code: err.code ?? err.name, message: err.message }));
  process.exitCode = refused ? 1 : 2;
}
