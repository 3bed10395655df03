import { execa } from "execa";

/** A certificate of its own, as PEM, for one `subjectAltName` such as `DNS:llm.test`; its new private key goes to a file. Two days. */
export async function issueCertificate(keyFile: string, subjectAltName: string): Promise<string> {
  const subject = ["-subj", `/CN=${subjectAltName.slice(subjectAltName.indexOf(":") + 1)}`, "-addext", `subjectAltName=${subjectAltName}`];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  return (await execa("openssl", [...args, "-keyout", keyFile, ...subject])).stdout;
}
