// SPDX-License-Identifier: Apache-2.0
// The official JavaScript client, unchanged, against the test Hub whose addresses are in the environment.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, test } from "node:test";
import {
	HubApiError, checkRepoAccess, commit, countCommits, createBranch, createRepo, deleteBranch, deleteFile, deleteFiles,
	deleteRepo, downloadFile, fileDownloadInfo, fileExists, listCommits, listFiles, listSpaces, pathsInfo, repoExists,
	spaceInfo, uploadFile, uploadFiles, whoAmI,
} from "@huggingface/hub";

const { HUB_URL: hubUrl, HUB_CONTROL: control, HUB_TOKEN: accessToken } = process.env;
const repo = { type: "space", name: "alice/js" };
const base = { hubUrl, accessToken };
const at = { ...base, repo };

async function tell(method, path, body) {
	const answer = await fetch(control + path, { method, body: body && JSON.stringify(body) });
	assert.equal(answer.status, 200, await answer.clone().text());
	return answer.json();
}

async function all(generator) {
	const out = [];
	for await (const item of generator) {
		out.push(item);
	}
	return out;
}

async function failure(promise) {
	try {
		await promise;
	} catch (error) {
		assert.ok(error instanceof HubApiError, String(error));
		return error;
	}
	assert.fail("it went through");
}

before(async () => {
	const made = await createRepo({
		...at, sdk: "docker", license: "mit",
		files: [{ path: "README.md", content: new Blob(["---\ntitle: JS\nsdk: docker\n---\n"]) }],
	});
	assert.equal(made.repoUrl, `${hubUrl}/spaces/alice/js`);
	assert.match(made.id, /^[0-9a-f]{24}$/);
});

test("whoami", async () => {
	const me = await whoAmI(base);
	assert.equal(me.name, "alice");
	assert.equal(me.auth.accessToken.role, "write");
	assert.ok(me.auth.accessToken.createdAt instanceof Date);
	assert.equal((await failure(whoAmI({ hubUrl, accessToken: "hf_wrong" }))).statusCode, 401);
});

test("the files of a create call are its first commit", async () => {
	const commits = await all(listCommits(at));
	assert.equal(commits.at(-1).title, "initial commit");
	assert.match(await (await downloadFile({ ...at, path: "README.md" })).text(), /title: JS/);
	const names = (await all(listFiles(at))).map((file) => file.path).sort();
	assert.deepEqual(names.slice(0, 2), [".gitattributes", "README.md"]);
});

test("commit: files, LFS and deletions in one", async () => {
	const data = randomBytes(200_000);
	const made = await commit({
		...at, title: "several things", description: "at once",
		operations: [
			{ operation: "addOrUpdate", path: "Dockerfile", content: new Blob(["FROM python:3.12-slim\n"]) },
			{ operation: "addOrUpdate", path: "sub/old.txt", content: new Blob(["old"]) },
			{ operation: "addOrUpdate", path: "weights.bin", content: new Blob([data]) },
		],
	});
	assert.match(made.commit.oid, /^[0-9a-f]{40}$/);
	assert.equal(made.commit.url, `${hubUrl}/spaces/alice/js/commit/${made.commit.oid}`);
	const files = Object.fromEntries((await all(listFiles({ ...at, recursive: true }))).map((file) => [file.path, file]));
	assert.equal(files.Dockerfile.oid, "bee3c167cd5c9b10ae5e38a35b8a1e67a65334b0");
	assert.equal(files["weights.bin"].lfs.size, 200_000);
	assert.equal(files.sub.type, "directory");
	const back = await downloadFile({ ...at, path: "weights.bin" });
	assert.deepEqual(Buffer.from(await back.arrayBuffer()), data);
	const pointer = await downloadFile({ ...at, path: "weights.bin", raw: true });
	assert.match(await pointer.text(), /^version https:\/\/git-lfs/);
	assert.equal((await fileDownloadInfo({ ...at, path: "weights.bin" })).size, 200_000);
	await deleteFile({ ...at, path: "sub/old.txt" });
	assert.equal(await fileExists({ ...at, path: "sub/old.txt" }), false);
	const again = await failure(deleteFiles({ ...at, paths: ["Dockerfile", "nothing"] }));
	assert.equal(again.statusCode, 404);
	assert.equal(await fileExists({ ...at, path: "Dockerfile" }), true);
});

test("LFS in parts, to another origin without the token", async () => {
	await tell("POST", "/_test/settings", { multipart_size: 1000, chunk_size: 70_000 });
	const data = randomBytes(70_000 * 10 + 5);
	await uploadFile({ ...at, file: { path: "big.bin", content: new Blob([data]) } });
	await tell("POST", "/_test/settings", { multipart_size: 64_000_000 });
	const back = await downloadFile({ ...at, path: "big.bin" });
	assert.deepEqual(Buffer.from(await back.arrayBuffer()), data);
	const foreign = [...await tell("GET", "/_test/log?origin=lfs"), ...await tell("GET", "/_test/log?origin=cdn")];
	assert.ok(foreign.length >= 12);
	assert.ok(foreign.every((entry) => entry.auth === null && entry.leaks.length === 0));
});

test("many files, pages, path information", async () => {
	await tell("POST", "/_test/settings", { tree_limit: 20 });
	await uploadFiles({
		...at, commitTitle: "many",
		files: Array.from({ length: 130 }, (_, number) => ({ path: `many/${number}.txt`, content: new Blob([`${number}`]) })),
	});
	const rows = await all(listFiles({ ...at, path: "many" }));
	await tell("POST", "/_test/settings", { tree_limit: 1000 });
	assert.equal(rows.length, 130);
	const infos = await pathsInfo({ ...at, paths: ["many/1.txt", "nothing", "big.bin"], expand: true });
	assert.deepEqual(infos.map((info) => info.path), ["many/1.txt", "big.bin"]);
	assert.equal(infos[0].lastCommit.title, "many");
});

test("parent commit and pull request", async () => {
	const head = (await spaceInfo({ ...base, name: repo.name, additionalFields: ["sha"] })).sha;
	const change = { ...at, file: { path: "x.txt", content: new Blob(["1"]) } };
	await uploadFile({ ...change, parentCommit: head });
	assert.equal((await failure(uploadFile({ ...change, parentCommit: head }))).statusCode, 412);
	const proposed = await uploadFile({ ...change, isPullRequest: true });
	assert.match(proposed.pullRequestUrl, /\/spaces\/alice\/js\/discussions\/1$/);
});

test("Space information, existence, history, branches", async () => {
	const info = await spaceInfo({ ...base, name: repo.name, additionalFields: ["runtime", "subdomain", "cardData", "tags"] });
	assert.equal(info.sdk, "docker");
	assert.equal(info.subdomain, "alice-js");
	assert.ok(["BUILDING", "RUNNING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING"].includes(info.runtime.stage));
	assert.equal(info.cardData.title, "JS");
	const listed = await all(listSpaces({ ...base, search: { owner: "alice" }, additionalFields: ["runtime"] }));
	assert.ok(listed.some((space) => space.name === "alice/js"));
	assert.equal(await repoExists({ ...at }), true);
	assert.equal(await repoExists({ ...base, repo: { type: "space", name: "alice/none" } }), false);
	assert.equal(await countCommits(at), (await all(listCommits({ ...at, batchSize: 2 }))).length);
	await createBranch({ ...at, branch: "dev" });
	assert.equal((await failure(createBranch({ ...at, branch: "dev" }))).statusCode, 409);
	await deleteBranch({ ...at, branch: "dev" });
});

test("build log as an event stream", async () => {
	await tell("POST", "/_test/spaces/alice/js/wait", { stage: "RUNNING" });
	const answer = await fetch(`${hubUrl}/api/spaces/alice/js/logs/build`, { headers: { Authorization: `Bearer ${accessToken}` } });
	assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
	const events = (await answer.text()).split("\n\n").filter((block) => block.startsWith("data: {"));
	assert.match(JSON.parse(events[0].slice(6)).data, /^===== Build Queued at .* \/ Commit SHA: [0-9a-f]{7} =====\n$/);
});

test("errors", async () => {
	const missing = await failure(checkRepoAccess({ ...base, repo: { type: "space", name: "alice/none" } }));
	assert.equal(missing.statusCode, 404);
	assert.match(missing.message, /Repository not found/);
	assert.match(missing.requestId, /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};/);
	assert.equal((await failure(checkRepoAccess({ hubUrl, repo: { type: "space", name: "alice/none" } }))).statusCode, 401);
	assert.equal((await failure(createRepo({ ...at, sdk: "docker" }))).statusCode, 409);
	assert.equal((await failure(createRepo({ ...base, sdk: "docker", repo: { type: "space", name: "bob/x" } }))).statusCode, 403);
	await tell("POST", "/_test/faults", { kind: "rate_limit", method: "POST", path: "*/commit/*", seconds: 9 });
	const limited = await failure(uploadFile({ ...at, file: { path: "y.txt", content: new Blob(["1"]) } }));
	assert.equal(limited.statusCode, 429);
});

test("delete", async () => {
	const gone = { type: "space", name: "alice/gone" };
	await createRepo({ ...base, repo: gone, sdk: "static", visibility: "private" });
	assert.equal((await spaceInfo({ ...base, name: gone.name })).private, true);
	await deleteRepo({ ...base, repo: gone });
	assert.equal((await failure(deleteRepo({ ...base, repo: gone }))).statusCode, 404);
});
