// The one HPKE suite of vouchbox, by the npm package `hpke`.
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_MLKEM768_X25519 } from 'hpke'

export const suite = new CipherSuite(KEM_MLKEM768_X25519, KDF_HKDF_SHA256, AEAD_AES_256_GCM)
export const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64url'))
export const text = (data) => Buffer.from(data).toString('base64url')
export const context = (...parts) => new TextEncoder().encode(parts.join('\n'))
