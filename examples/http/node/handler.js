// A handler in Node without any package: prices an order. A 422 makes a dead letter, a 503 costs no attempt.
const http = require("node:http");
const { text } = require("node:stream/consumers");

let taken = false; // there is one cash register

async function handle(request) {
  const order = JSON.parse(await text(request));
  if (!(order.amount > 0)) return [422, { error: "amount must be 1 or more" }];
  if (taken) return [503, { error: "the register is taken" }];
  taken = true;
  console.log(`working on ${request.headers["ce-id"]}, attempt ${request.headers["ce-attempt"]}`);
  await new Promise((done) => setTimeout(done, 1000 * (order.seconds ?? 0)));
  taken = false;
  return [200, { total: 3 * order.amount, attempt: Number(request.headers["ce-attempt"]) }];
}

http
  .createServer(async (request, response) => {
    const [status, answer] = await handle(request).catch((error) => [500, { error: String(error) }]);
    response.writeHead(status, { "content-type": "application/json", "retry-after": "1" });
    response.end(JSON.stringify(answer));
  })
  .listen(Number(process.env.PORT));
