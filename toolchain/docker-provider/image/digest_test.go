package image

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeFiles lays out a context; names ending in .sh are executable.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if filepath.Ext(name) == ".sh" {
			mode = 0o755
		}
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(content), mode))
		must(t, os.Chmod(file, mode)) // whatever the umask
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func digestOf(t *testing.T, context, dockerfile string) string {
	t.Helper()
	digest, err := contextDigest(context, dockerfile)
	must(t, err)
	return digest
}

func exampleContext(t *testing.T) string {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"ctx/Dockerfile":    "FROM scratch\nCOPY . /\n",
		"ctx/.dockerignore": "# comment\n*.log\nsecret\n!keep.log\n",
		"ctx/src/main.c":    "main\n",
		"ctx/run.sh":        "#!/bin/sh\n",
		"ctx/keep.log":      "k\n",
		"ctx/drop.log":      "x\n",
		"ctx/secret/pw":     "p\n",
		"other.Dockerfile":  "FROM scratch\nLABEL a=b\nCOPY . /\n",
	})
	return dir
}

// The expected values are what the official provider 5.1.0 put into its state for the same files.
func TestDigestEqualsTheOfficialProviders(t *testing.T) {
	t.Chdir(exampleContext(t))
	for dockerfile, want := range map[string]string{
		"ctx/Dockerfile":   "deca205dcc206977d8305758486aa16ab22d4d9295f2217cc7668a19c108e78d",
		"other.Dockerfile": "ae43c81d3e361500f277bbc5952d4cb254890618bcde090e7761929e5b9f0823",
	} {
		if got := digestOf(t, "ctx", dockerfile); got != want {
			t.Errorf("%s: got %s, want %s", dockerfile, got, want)
		}
	}
}

func TestDigestChangesWithWhatABuildReadsAndNothingElse(t *testing.T) {
	later := time.Now().Add(time.Hour)
	cases := []struct {
		name    string
		change  func(t *testing.T, ctx string)
		changes bool
	}{
		{"a file's content", func(t *testing.T, ctx string) { writeFiles(t, ctx, map[string]string{"src/main.c": "main2\n"}) }, true},
		{"a file's mode", func(t *testing.T, ctx string) { must(t, os.Chmod(filepath.Join(ctx, "src/main.c"), 0o755)) }, true},
		{"a file's name", func(t *testing.T, ctx string) {
			must(t, os.Rename(filepath.Join(ctx, "src/main.c"), filepath.Join(ctx, "src/other.c")))
		}, true},
		{"a new file", func(t *testing.T, ctx string) { writeFiles(t, ctx, map[string]string{"new": ""}) }, true},
		{"the dockerfile", func(t *testing.T, ctx string) { writeFiles(t, ctx, map[string]string{"Dockerfile": "FROM scratch\n"}) }, true},
		{"a file that is kept by an exception", func(t *testing.T, ctx string) { writeFiles(t, ctx, map[string]string{"keep.log": "k2\n"}) }, true},
		{"a link's target", func(t *testing.T, ctx string) { must(t, os.Symlink("nowhere", filepath.Join(ctx, "link"))) }, true},
		{"times", func(t *testing.T, ctx string) { must(t, os.Chtimes(filepath.Join(ctx, "src/main.c"), later, later)) }, false},
		{"an ignored file", func(t *testing.T, ctx string) { writeFiles(t, ctx, map[string]string{"drop.log": "y\n", "b.log": ""}) }, false},
		{"a file of an ignored folder", func(t *testing.T, ctx string) { writeFiles(t, ctx, map[string]string{"secret/pw": "q\n"}) }, false},
		{"an empty folder", func(t *testing.T, ctx string) { must(t, os.Mkdir(filepath.Join(ctx, "empty"), 0o755)) }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx := filepath.Join(exampleContext(t), "ctx")
			before := digestOf(t, ctx, filepath.Join(ctx, "Dockerfile"))
			c.change(t, ctx)
			after := digestOf(t, ctx, filepath.Join(ctx, "Dockerfile"))
			if (before != after) != c.changes {
				t.Errorf("changed: %v, want %v", before != after, c.changes)
			}
		})
	}
}

func TestDigestDoesNotDependOnWhereTheContextLies(t *testing.T) {
	one, two := exampleContext(t), exampleContext(t)
	for _, dir := range []string{one, two} {
		must(t, os.Symlink("src/main.c", filepath.Join(dir, "ctx/link")))
	}
	if digestOf(t, one+"/ctx", one+"/ctx/Dockerfile") != digestOf(t, two+"/ctx", two+"/ctx/Dockerfile") {
		t.Error("the same files in two places have two digests")
	}
}

func TestADockerfilesOwnIgnoreFileWins(t *testing.T) {
	dir := exampleContext(t)
	ctx, dockerfile := dir+"/ctx", dir+"/other.Dockerfile"
	writeFiles(t, dir, map[string]string{"other.Dockerfile.dockerignore": "src\n"})
	before := digestOf(t, ctx, dockerfile)
	writeFiles(t, ctx, map[string]string{"src/main.c": "main2\n"})
	if digestOf(t, ctx, dockerfile) != before {
		t.Error("other.Dockerfile.dockerignore was not used")
	}
	writeFiles(t, ctx, map[string]string{"drop.log": "y\n"})
	if digestOf(t, ctx, dockerfile) == before {
		t.Error(".dockerignore was used beside other.Dockerfile.dockerignore")
	}
}

func TestDigestFailsOnAMissingContext(t *testing.T) {
	dir := exampleContext(t)
	if _, err := contextDigest(dir+"/nowhere", dir+"/other.Dockerfile"); err == nil {
		t.Error("no error")
	}
}
