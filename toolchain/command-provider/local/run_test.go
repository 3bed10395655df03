package local

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"
)

func ptr[T any](v T) *T { return &v }

func runOK(t *testing.T, line string, in Process, previous Result) Result {
	t.Helper()
	result, err := run(t.Context(), line, in, previous)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestOutputIsKeptWithoutItsLastNewline(t *testing.T) {
	got := runOK(t, `printf 'a\n\n'; echo b >&2`, Process{}, Result{})
	if got.Stdout != "a\n" || got.Stderr != "b" {
		t.Errorf("got %q and %q", got.Stdout, got.Stderr)
	}
}

func TestTheProcessGetsWhatIsDeclared(t *testing.T) {
	t.Setenv("INHERITED", "yes")
	dir := t.TempDir()
	got := runOK(t, `pwd; cat; echo "$INHERITED $DECLARED"`, Process{
		Dir: &dir, Stdin: ptr("input\n"), Environment: &map[string]string{"DECLARED": "too", "INHERITED": "overridden"},
	}, Result{})
	if want := dir + "\ninput\noverridden too"; got.Stdout != want {
		t.Errorf("got %q, want %q", got.Stdout, want)
	}
}

func TestTheInterpreterGetsTheCommandLineAsItsLastArgument(t *testing.T) {
	got := runOK(t, "a b", Process{Interpreter: &[]string{"printf", "%s|", "x"}}, Result{})
	if got.Stdout != "x|a b|" {
		t.Errorf("got %q", got.Stdout)
	}
}

func TestThePreviousOutputIsPassedOnUnlessDeclined(t *testing.T) {
	line := `echo "[$PULUMI_COMMAND_STDOUT][$PULUMI_COMMAND_STDERR]"`
	previous := Result{Stdout: "out", Stderr: "err"}
	for _, c := range []struct {
		add  *bool
		want string
	}{{nil, "[out][err]"}, {ptr(true), "[out][err]"}, {ptr(false), "[][]"}} {
		if got := runOK(t, line, Process{AddPreviousOutputInEnv: c.add}, previous); got.Stdout != c.want {
			t.Errorf("got %q, want %q", got.Stdout, c.want)
		}
	}
}

func TestAFailureSaysStatusCommandAndOutput(t *testing.T) {
	line := `echo said; echo complained >&2; exit 7`
	_, err := run(t.Context(), line, Process{Logging: ptr(logNone)}, Result{})
	if err == nil {
		t.Fatal("no error")
	}
	head, output, _ := strings.Cut(err.Error(), "\n")
	if want := `exit status 7: running "` + line + `":`; head != want {
		t.Errorf("got %q, want %q", head, want)
	}
	if !strings.Contains(output, "said\n") || !strings.Contains(output, "complained\n") {
		t.Errorf("got output %q", output)
	}
}

func TestACommandThatCannotStartFails(t *testing.T) {
	if _, err := run(t.Context(), "x", Process{Interpreter: &[]string{"/nonexistent"}}, Result{}); err == nil {
		t.Error("no error for a missing interpreter")
	}
	if _, err := run(t.Context(), "true", Process{Dir: ptr("/nonexistent")}, Result{}); err == nil {
		t.Error("no error for a missing directory")
	}
}

func TestCancellingKillsTheProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := run(ctx, "exec sleep 60", Process{}, Result{}); err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestLongLinesNeitherBlockNorGetLost(t *testing.T) {
	done := make(chan Result)
	go func() {
		result, _ := run(context.Background(), `head -c 300000 /dev/zero | tr '\0' x; echo; echo end`, Process{}, Result{})
		done <- result
	}()
	select {
	case got := <-done:
		if len(got.Stdout) != 300000+len("\nend") {
			t.Errorf("got %d bytes", len(got.Stdout))
		}
	case <-time.After(20 * time.Second):
		t.Fatal("blocked")
	}
}

func TestLinesAreShownAsTheyAreWithoutTheirEnds(t *testing.T) {
	var shown []string
	long := strings.Repeat("x", maxLogLine+1)
	showLines(bytes.NewBufferString("a\r\n\n"+long+"\nlast"), func(line string) { shown = append(shown, line) })
	if want := []string{"a", "", long[:maxLogLine], "last"}; !reflect.DeepEqual(shown, want) {
		t.Errorf("got %d lines: %.60q", len(shown), shown)
	}
}

func TestLoggingChoosesTheOutputs(t *testing.T) {
	for _, c := range []struct {
		logging        *Logging
		stdout, stderr bool
	}{{nil, true, true}, {ptr(logBoth), true, true}, {ptr(logStdout), true, false}, {ptr(logStderr), false, true}, {ptr(logNone), false, false}} {
		if c.logging.showsStdout() != c.stdout || c.logging.showsStderr() != c.stderr {
			t.Errorf("%v: got %v %v", c.logging, c.logging.showsStdout(), c.logging.showsStderr())
		}
	}
}

func TestGlobsApplyInOrder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"assets/logos/logo.svg", "src/index.js", "src/secret.js", "top.js"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ rules, want []string }{
		{[]string{"assets/**", "src/**.js", "!**secret.*"}, []string{"assets/logos/logo.svg", "src/index.js"}},
		{[]string{"!**secret.*", "src/**.js"}, []string{"src/index.js", "src/secret.js"}},
		{[]string{"*.js"}, []string{"top.js"}},
		{[]string{"nothing"}, nil},
	} {
		got, err := matchFiles(os.DirFS(dir), c.rules)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v %v, want %v", c.rules, got, err, c.want)
		}
	}
	if _, err := matchFiles(os.DirFS(dir), []string{"[z-a]{"}); err == nil {
		t.Error("no error for a glob that can't be read")
	}

	result := runOK(t, "true", Process{Dir: &dir, AssetPaths: &[]string{"top.js"}, ArchivePaths: &[]string{"src/*"}}, Result{})
	if asset := (*result.Assets)["top.js"]; len(*result.Assets) != 1 || asset.Asset.Path != filepath.Join(dir, "top.js") {
		t.Errorf("got assets %v", result.Assets)
	}
	if members, ok := result.Archive.GetAssets(); !ok || len(members) != 2 {
		t.Errorf("got archive %v", result.Archive)
	}
}

func TestPreviewsRunNothing(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	args := Args{Create: ptr("touch " + marker), Update: ptr("touch " + marker)}
	if _, err := new(Command).Create(t.Context(), infer.CreateRequest[Args]{Name: "c", Inputs: args, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := new(Command).Update(t.Context(), infer.UpdateRequest[Args, State]{Inputs: args, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a preview ran the command")
	}
}

func TestEachStepRunsItsOwnCommand(t *testing.T) {
	created, err := new(Command).Create(t.Context(), infer.CreateRequest[Args]{Name: "c", Inputs: Args{Create: ptr("echo created")}})
	if err != nil || created.Output.Stdout != "created" || !strings.HasPrefix(created.ID, "c") || len(created.ID) != 9 {
		t.Fatalf("got %+v %v", created, err)
	}
	for _, c := range []struct {
		name string
		args Args
		want string
	}{
		{"update", Args{Create: ptr("echo no"), Update: ptr("echo updated after $PULUMI_COMMAND_STDOUT")}, "updated after created"},
		{"create for want of update", Args{Create: ptr("echo again after $PULUMI_COMMAND_STDOUT")}, "again after created"},
		{"nothing to run", Args{Delete: ptr("echo no")}, "created"},
	} {
		got, err := new(Command).Update(t.Context(), infer.UpdateRequest[Args, State]{Inputs: c.args, State: created.Output})
		if err != nil || got.Output.Stdout != c.want {
			t.Errorf("%s: got %q %v, want %q", c.name, got.Output.Stdout, err, c.want)
		}
	}

	marker := filepath.Join(t.TempDir(), "deleted")
	state := created.Output
	state.Delete = ptr(`echo "$PULUMI_COMMAND_STDOUT" > ` + marker)
	if _, err := new(Command).Delete(t.Context(), infer.DeleteRequest[State]{State: state}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(marker); string(got) != "created\n" {
		t.Errorf("delete saw %q", got)
	}
}

func TestAFailedUpdateKeepsThePreviousOutput(t *testing.T) {
	state := State{Result: Result{Stdout: "before"}}
	got, err := new(Command).Update(t.Context(), infer.UpdateRequest[Args, State]{Inputs: Args{Update: ptr("echo after; exit 1")}, State: state})
	if err == nil || got.Output.Stdout != "before" {
		t.Errorf("got %q %v", got.Output.Stdout, err)
	}
}

func TestTheFunctionRunsEachTimeAndReturnsItsInputsToo(t *testing.T) {
	args := RunArgs{Command: `echo "$NAME"; echo aside >&2`, Process: Process{Environment: &map[string]string{"NAME": "out"}, Logging: ptr(logNone)}}
	for range 2 {
		got, err := new(Run).Invoke(t.Context(), infer.FunctionRequest[RunArgs]{Input: args})
		if want := (RunResult{RunArgs: args, Result: Result{Stdout: "out", Stderr: "aside"}}); err != nil || !reflect.DeepEqual(got.Output, want) {
			t.Errorf("got %+v %v, want %+v", got.Output, err, want)
		}
	}
}

func TestAFailedFunctionSaysStatusCommandAndOutput(t *testing.T) {
	_, err := new(Run).Invoke(t.Context(), infer.FunctionRequest[RunArgs]{Input: RunArgs{Command: "echo said; exit 7"}})
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "said\n") {
		t.Errorf("got %v", err)
	}
}
