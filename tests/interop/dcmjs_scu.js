// A verification and storage SCU of dcmjs-dimse; it reports one event a line and ends with 0 if all went well.
// node dcmjs_scu.js '{"port": ..., "files": [...], "called": ..., "max_pdu": ..., "contexts": 0, "abort": false}'
'use strict';

console.warn = console.info = () => {}; // dcmjs prints a line for every private element: before it is loaded
const fs = require('fs');
const { Client, Implementation, association, constants, log, requests } = require('dcmjs-dimse');

const options = JSON.parse(process.argv[2]);
let good = true;
let answered = 0;

function report(event, facts) {
  fs.writeSync(1, JSON.stringify({ event, ...facts }) + '\n');
}

function fail(event, facts) {
  good = false;
  report(event, facts);
}

function requestFor(file) {
  const request = file ? new requests.CStoreRequest(file) : new requests.CEchoRequest();
  request.on('response', (response) => {
    const status = response.getStatus();
    answered += 1;
    (status === constants.Status.Success ? report : fail)('response', { status });
    if (options.abort) {
      client.abort(constants.AbortSource.ServiceUser, constants.AbortReason.NotSpecified);
    }
  });
  return request;
}

function addContexts(count) {
  const classes = Object.values(constants.StorageClass).slice(0, count);
  classes.forEach((uid) => {
    const context = new association.PresentationContext(0, uid);
    context.addTransferSyntaxUid(constants.TransferSyntax.ExplicitVRLittleEndian);
    client.addAdditionalPresentationContext(context, true);
  });
}

log.setLevel('error');
Implementation.setMaxPduLength(options.max_pdu);
const client = new Client();
(options.files.length ? options.files : [null]).forEach((file) => client.addRequest(requestFor(file)));
addContexts(options.contexts);
client.on('associationAccepted', (accepted) => {
  const results = accepted.getPresentationContexts().map(({ id }) => accepted.getPresentationContext(id).getResult());
  report('accepted', { max_length: accepted.getMaxPduLength(), contexts: results.filter((one) => one === 0).length });
});
client.on('associationRejected', (result) => fail('rejected', result));
client.on('associationReleased', () => report('released'));
client.on('networkError', (error) => fail('failed', { message: error.message }));
client.on('closed', () => {
  const asked = Math.max(options.files.length, 1);
  if (good && answered < asked) {
    fail('failed', { message: `${answered} of ${asked} requests were sent and answered` }); // it skips what it cannot send
  }
  process.exit(good ? 0 : 1);
});
client.send('127.0.0.1', options.port, 'DCMJS', options.called, { connectTimeout: 15000, pduTimeout: 15000 });
client.network.on('abort', (abort) => {
  fail('aborted', abort);
  client.network.socket.destroy(); // dcmjs-dimse itself would wait for its time limit
});
