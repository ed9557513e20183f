// Calls a server with an unmodified npm SDK and its defaults, and prints what came of each call, as call.py does.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const CLIENTS = {
  "openai-node": (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-test" }),
  "anthropic-node": (url) => new Anthropic({ baseURL: url, apiKey: "sk-test" }),
};

async function call(client) {
  try {
    await client.get("/models");
    return ["ok", null];
  } catch (error) {
    return [error.constructor.name, error.error?.error ?? error.error ?? null];
  }
}

const [sdk, url, count] = process.argv.slice(2);
const client = CLIENTS[sdk](url);
const start = performance.now();
const outcomes = [];
for (let n = 0; n < Number(count); n += 1) outcomes.push(await call(client));
console.log(
  JSON.stringify({
    calls: outcomes.map(([outcome]) => outcome),
    messages: outcomes.map(([, message]) => message),
    seconds: (performance.now() - start) / 1000,
  }),
);
