// A relying party in another language: a signed match request whose reference is sealed to the box, and an
// acknowledgement. `jose` signs, `hpke` seals.
import { json } from 'node:stream/consumers'
import { CompactSign, calculateJwkThumbprint, importJWK } from 'jose'
import { bytes, context, suite, text } from './suite.mjs'

const { signing, document, party, clear, digest, now } = await json(process.stdin)
const key = await importJWK(signing, 'Ed25519')
const kid = await calculateJwkThumbprint(signing)
const [jti, nonce] = [crypto.randomUUID(), text(crypto.getRandomValues(new Uint8Array(24)))]

const sign = (typ, claims) =>
  new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'Ed25519', typ, kid })
    .sign(key)

const recipient = await suite.DeserializePublicKey(bytes(document.seal.public))
const { encapsulatedSecret, ciphertext } = await suite.Seal(recipient, bytes(clear), {
  info: context('vouchbox-reference-v1', document.ueid, party, jti, nonce),
})
const reference = text(Buffer.concat([encapsulatedSecret, ciphertext]))
const about = { iss: party, aud: document.audience, iat: now }
console.log(
  JSON.stringify({
    request: await sign('vouchbox-request+jwt', {
      ...about,
      exp: now + 120,
      jti,
      nonce,
      purpose: 'pickup',
      action: 'match',
      level: 'active',
      reference,
    }),
    ack: await sign('vouchbox-ack+jwt', { ...about, delivered: [digest] }),
  }),
)
