// Verify a verdict with the npm package `jose`, as a customer's own server would, from the documents alone.
import { json } from 'node:stream/consumers'
import { createLocalJWKSet, jwtVerify } from 'jose'

const { token, document, audience, nonce, now } = await json(process.stdin)
try {
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(document), {
    algorithms: ['Ed25519', 'ES256'],
    typ: 'eat+jwt',
    issuer: document.audience,
    audience,
    currentDate: new Date(now * 1000),
    requiredClaims: ['jti', 'iat', 'exp', 'eat_nonce', 'eat_profile', 'ueid'],
  })
  if (payload.eat_nonce !== nonce) throw new Error('another nonce')
  console.log(JSON.stringify({ verified: true, header: protectedHeader, claims: payload }))
} catch (problem) {
  console.log(JSON.stringify({ verified: false, problem: problem.code ?? problem.message }))
}
