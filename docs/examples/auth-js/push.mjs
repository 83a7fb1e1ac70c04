// A login that is approved on a phone, as the official Auth0 client for Node sees it.
//
//   node push.mjs enroll      asks to set up a phone; prints what it scans
//   node push.mjs challenge   asks the phone about a login
//   node push.mjs poll        asks once whether it has answered; prints tokens, or the refusal
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { asksForMore, connect, offers, person } from './client.mjs';
import { chosen, needed, play, variable } from '../environment.mjs';

const step = chosen({ enroll, challenge, poll });
const auth0 = connect();

await play(step);

async function password() {
  return asksForMore(auth0.getTokenByPassword({ ...person(), audience: variable('AUDIENCE'), scope: 'openid profile' }));
}

/** The phone scans barcodeUri; then a poll with this oobCode gets tokens. */
async function enroll() {
  const { mfaToken, requirements } = await password();
  assert.ok(offers(requirements.enroll, 'push-notification'), 'a phone may be enrolled');
  const phone = await auth0.mfa.enrollAuthenticator({ authenticatorTypes: ['oob'], oobChannels: ['auth0'], mfaToken });
  assert.equal(phone.authenticatorType, 'oob');
  assert.equal(phone.oobChannel, 'auth0');
  assert.equal(phone.bindingMethod, undefined, 'nothing is to be typed in');
  return { mfaToken, oobCode: phone.oobCode, barcodeUri: phone.barcodeUri };
}

async function challenge() {
  const { mfaToken, requirements } = await password();
  assert.ok(offers(requirements.challenge, 'push-notification'), 'a phone can be asked');
  const rows = await auth0.mfa.listAuthenticators({ mfaToken });
  const phone = rows.find((row) => row.type === 'push-notification' && row.active);
  assert.ok(phone?.id.startsWith('push|dev_'), 'the phone is listed');
  const asked = await auth0.mfa.challengeAuthenticator({ challengeType: 'oob', authenticatorId: phone.id, mfaToken });
  assert.equal(asked.challengeType, 'oob');
  return { mfaToken, oobCode: asked.oobCode, bindingMethod: asked.bindingMethod };
}

/** The library leaves it to its caller to poll again; the refusal says whether to. */
async function poll() {
  const proof = { factorType: 'oob', oobCode: needed('OOB_CODE'), mfaToken: needed('MFA_TOKEN') };
  const bindingCode = variable('BINDING_CODE');
  try {
    const { accessToken, claims } = await auth0.mfa.verify(bindingCode ? { ...proof, bindingCode } : proof);
    return { accessToken, claims };
  } catch (refusal) {
    return { status: refusal.statusCode, error: refusal.cause?.error, description: refusal.cause?.error_description };
  }
}
