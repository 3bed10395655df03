import pulumiPlugin from "@pulumi/eslint-plugin";
import { defineConfig, globalIgnores } from "eslint/config";
import { createTypeScriptImportResolver } from "eslint-import-resolver-typescript";
import importX from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/** The project's import direction, `index → components → plan ← scripts`: `from` may not be imported by `target`. */
const zones = [
  {
    target: "./plan",
    from: ["./components", "./scripts", "./index.ts"],
    message: "plan/ decides in values only: it imports nothing of the project but plan/",
  },
  {
    target: "./components",
    from: ["./scripts", "./index.ts"],
    message: "components/ make resources: of the project they import plan/ only",
  },
  { target: "./scripts", from: ["./components", "./index.ts"], message: "scripts/ touch the world: of the project they import plan/ only" },
  { target: "./index.ts", from: ["./scripts"], message: "index.ts is the Pulumi program: it imports components/ and plan/ only" },
  {
    target: ["./plan", "./components", "./scripts", "./index.ts"],
    from: ["./tests"],
    message: "tests import the code, never the other way round",
  },
];

export default defineConfig(
  globalIgnores(["node_modules/", ".tools/", "toolchain/", "benchmarks/", "coverage/"]),
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["*.config.js"] } } },
    plugins: { "import-x": importX, "@pulumi": pulumiPlugin },
    settings: { "import-x/resolver-next": [createTypeScriptImportResolver()] },
    rules: {
      "@pulumi/no-output-in-template-literal": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      "import-x/no-cycle": "error",
      "import-x/no-restricted-paths": ["error", { zones }],
      "no-restricted-globals": ["error", { name: "require", message: "the project is ESM" }],
      eqeqeq: "error",
    },
  },
  {
    files: ["plan/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^(node:)?(fs|child_process|net|http|https|os|process|timers)(/|$)",
              message: "plan/ is pure: effects live in scripts/",
            },
            { regex: "^@pulumi/|^dockerode$", message: "plan/ knows no Pulumi and no Docker client" },
          ],
        },
      ],
      "no-restricted-properties": [
        "error",
        { object: "process", property: "env", message: "plan/ is pure" },
        { object: "Date", property: "now", message: "plan/ is pure: take the time as an argument" },
        { object: "Math", property: "random", message: "plan/ is pure: take a generator as an argument" },
      ],
    },
  },
  {
    files: ["tests/**/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
);
