// The app on the phone of somebody who logs in.
import { createHmac } from 'node:crypto';
import { variable } from '../environment.mjs';

/** What an authenticator app shows (RFC 6238: SHA-1, 6 digits, 30 s) at OTP_TIME, or now. */
export function oneTimePassword(secret) {
  const seconds = Number(variable('OTP_TIME') ?? Date.now() / 1000);
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(seconds / 30)));
  const mac = createHmac('sha1', fromBase32(secret)).update(step).digest();
  const code = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(code % 1_000_000).padStart(6, '0');
}

function fromBase32(text) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...text].map((c) => alphabet.indexOf(c).toString(2).padStart(5, '0')).join('');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}
