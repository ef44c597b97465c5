// Folders that are dropped or chosen: what is in them, and how they are sent.
import { Failure } from "./peer.js";

const unreadable = (path, e) => new Failure(`“${path}” cannot be read: ` + (e?.message || e?.name || "the browser does not say why"),
  "nothing of it was put; see whether it is still there and may be read, then try again");

const fileOf = (entry, path) => new Promise((ok, fail) => entry.file(ok, (e) => fail(unreadable(path, e))));
const some = (reader, path) => new Promise((ok, fail) => reader.readEntries(ok, (e) => fail(unreadable(path, e))));

// walk gives the files and the empty directories under entry. found hears how many
// files there are so far, and ends the walk by answering false.
export async function walk(entry, found) {
  const files = [], dirs = [];
  const into = async (dir, path) => {
    const reader = dir.createReader();
    let n = 0;
    for (let batch; (batch = await some(reader, path || dir.name)).length > 0;) { // a browser gives 100 at a time
      n += batch.length;
      const plain = batch.filter((e) => e.isFile);
      files.push(...await Promise.all(plain.map(async (e) => ({ path: path + e.name, file: await fileOf(e, path + e.name) }))));
      if (found(files.length) === false) return;
      for (const e of batch) if (e.isDirectory) await into(e, path + e.name + "/");
    }
    if (n === 0) dirs.push(path);
  };
  await into(entry, "");
  return { files, dirs };
}

// chosen makes folders of the files of an <input webkitdirectory>.
export function chosen(list) {
  const tops = new Map();
  for (const file of list) {
    const [top, ...rest] = file.webkitRelativePath.split("/");
    if (!tops.has(top)) tops.set(top, { name: top, files: [], dirs: [] });
    tops.get(top).files.push({ path: rest.join("/"), file });
  }
  return [...tops.values()];
}

// encoded is a name as RFC 8187 has it: no character of it can be mistaken.
const encoded = (path) => encodeURIComponent(path.toWellFormed?.() ?? path).replace(/['()*!]/g, (c) => "%" + c.charCodeAt(0).toString(16));

// form is a folder as one body. Its files are read as they are sent. The browser's
// own FormData would change names that have a quote in them.
export function form({ files, dirs }) {
  const edge = "cairn-" + crypto.getRandomValues(new BigUint64Array(4)).join("-");
  const head = (path, type) => `--${edge}\r\nContent-Disposition: form-data; name="file"; filename*=UTF-8''${encoded(path)}\r\nContent-Type: ${type}\r\n\r\n`;
  const parts = [head("./", "application/x-directory"), "\r\n"]; // itself, as it may be empty
  for (const d of dirs) if (d) parts.push(head(d.slice(0, -1), "application/x-directory"), "\r\n");
  for (const { path, file } of files) parts.push(head(path, "application/octet-stream"), file, "\r\n");
  parts.push(`--${edge}--\r\n`);
  return new Blob(parts, { type: "multipart/form-data; boundary=" + edge });
}

// missing names the first file that cannot be read any more, "" if all can: a
// browser does not say at which file a body broke off.
export async function missing(files) {
  for (let i = 0; i < files.length; i += 100) {
    const bad = await Promise.all(files.slice(i, i + 100).map(async ({ path, file }) => {
      try { await file.slice(0, 1).arrayBuffer(); return ""; } catch { return path; }
    }));
    const name = bad.find(Boolean);
    if (name) return name;
  }
  return "";
}
