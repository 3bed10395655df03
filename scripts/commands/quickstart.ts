import { Command } from "commander";
import { gatewayName } from "../../plan/names.ts";
import { connectDocker } from "../docker/host.ts";
import { exchange, type ChatServer } from "../gates/chat-client.ts";
import { log } from "../program.ts";
import { ensureStack, readPromotion, runPulumi } from "../pulumi.ts";
import { reachGateway } from "../rollout/reach-gateway.ts";
import { setUp } from "../setup/index.ts";

const stack = "dev";
/** Longest wait for the closing request, milliseconds; the server has answered its gates just before. */
const answerTimeoutMs = 60_000;
const question = "What is the capital of France?";

/** `npm run quickstart`: from a fresh machine to an answered chat request. */
export function quickstartCommand(): Command {
  return new Command("quickstart")
    .description("set up this machine, deploy the dev stack, and ask its server a question; changes nothing the second time")
    .action(async () => {
      await setUp();
      await ensureStack(stack);
      log(`quickstart: pulumi up -s ${stack}: builds the image, fetches the model, measures the server, lets it take traffic`);
      const exitCode = await runPulumi(["up", "--stack", stack, "--yes", "--skip-preview"]);
      if (exitCode !== 0) {
        log("quickstart: pulumi up failed; what failed and why stands above. Nothing that served before was changed.");
        process.exitCode = 1;
        return;
      }
      const promotion = await readPromotion(stack);
      if (promotion === null) throw new Error(`stack ${stack} has promoted no release although pulumi up succeeded`);
      const { endpoint } = promotion;
      const request = { messages: [{ role: "user", content: question }], max_tokens: 24, temperature: 0, stop: ["\n"] };
      const gateway = await reachGateway(connectDocker(null).getContainer(gatewayName(stack)));
      process.stdout.write(closing(endpoint, request, await ask(gateway, request), "authorization" in gateway.headers));
    });
}

/** @throws {Error} with what came instead of an answer */
async function ask(gateway: ChatServer, request: object): Promise<string> {
  const { status, body } = await exchange(gateway, "/v1/chat/completions", request, AbortSignal.timeout(answerTimeoutMs));
  const answer =
    status === 200 ? (JSON.parse(body) as { choices?: { message?: { content?: string } }[] }).choices?.[0]?.message?.content : undefined;
  if (answer === undefined) throw new Error(`${gateway.url} answered ${status}: ${body.slice(0, 200)}`);
  return answer.trim();
}

const closing = (endpoint: string, request: object, answer: string, wantsKey: boolean): string => `
Question: ${question}
Answer:   ${answer}

The server listens on ${endpoint} (OpenAI's API under /v1). Ask it yourself:

  curl ${endpoint}/v1/chat/completions -H 'Content-Type: application/json' \\${wantsKey ? `\n    -H 'Authorization: Bearer YOUR-KEY' \\` : ""}
    -d '${JSON.stringify(request)}'

or from Python (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url="${endpoint}/v1", api_key="${wantsKey ? "YOUR-KEY" : "none"}")
  answer = client.chat.completions.create(
      model="any", messages=[{"role": "user", "content": "${question}"}], max_tokens=24, stop=["\\n"])
  print(answer.choices[0].message.content)

What was measured: npm run status      Take it down: .tools/bin/pulumi destroy -s ${stack}
`;
