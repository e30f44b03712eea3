// Open the sealed part of a template message with the npm package `hpke` and the party's 32-byte seed.
import { json } from 'node:stream/consumers'
import { bytes, context, suite, text } from './suite.mjs'

const { seed, sealed, box, party, jti, purpose } = await json(process.stdin)
const key = await suite.DeserializePrivateKey(bytes(seed), false)
const message = bytes(sealed)
try {
  const clear = await suite.Open(key, message.slice(0, suite.KEM.Nenc), message.slice(suite.KEM.Nenc), {
    info: context('vouchbox-template-v1', box, party, jti, purpose),
  })
  console.log(JSON.stringify({ opened: true, clear: text(clear), kem: suite.KEM.id }))
} catch (problem) {
  console.log(JSON.stringify({ opened: false, problem: problem.name }))
}
