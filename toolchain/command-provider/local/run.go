package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
)

// run runs one command line and returns what it left.
//
// Cancelling ctx kills the interpreter, not what it started, and then waits until those have closed their output too: a command that starts
// others must stop them itself.
// The returned error has the exit status, the command line and everything that the process wrote, in the order it came.
func run(ctx context.Context, line string, in Process, previous Result) (Result, error) {
	argv := []string{"/bin/sh", "-c"}
	if in.Interpreter != nil && len(*in.Interpreter) > 0 {
		argv = append([]string(nil), *in.Interpreter...)
	}
	argv = append(argv, line)

	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if err := in.prepare(cmd, previous); err != nil {
		return Result{}, err
	}

	logReader, logWriter := io.Pipe()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showLines(logReader, func(line string) { p.GetLogger(ctx).InfoStatus(line) })
	}()

	var stdout, stderr bytes.Buffer
	var both lockedBuffer
	cmd.Stdout = outputWriter(&stdout, &both, logWriter, in.Logging.showsStdout())
	cmd.Stderr = outputWriter(&stderr, &both, logWriter, in.Logging.showsStderr())
	err := cmd.Run()
	_ = logWriter.Close()
	<-shown
	if err != nil {
		return Result{}, fmt.Errorf("%w: running %q:\n%s", err, line, both.String())
	}

	result := Result{Stdout: trimNewline(stdout), Stderr: trimNewline(stderr), Assets: previous.Assets, Archive: previous.Archive}
	return result, result.collectFiles(cmd.Dir, in)
}

// prepare sets what the process inherits: directory, environment and standard input.
func (in Process) prepare(cmd *exec.Cmd, previous Result) (err error) {
	if in.Dir != nil {
		cmd.Dir = *in.Dir
	} else if cmd.Dir, err = os.Getwd(); err != nil {
		return err
	}
	cmd.Env = os.Environ()
	if in.Environment != nil {
		for name, value := range *in.Environment {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if in.AddPreviousOutputInEnv == nil || *in.AddPreviousOutputInEnv {
		if previous.Stdout != "" {
			cmd.Env = append(cmd.Env, "PULUMI_COMMAND_STDOUT="+previous.Stdout)
		}
		if previous.Stderr != "" {
			cmd.Env = append(cmd.Env, "PULUMI_COMMAND_STDERR="+previous.Stderr)
		}
	}
	if in.Stdin != nil && *in.Stdin != "" {
		cmd.Stdin = strings.NewReader(*in.Stdin)
	}
	return nil
}

func outputWriter(own, both, log io.Writer, shows bool) io.Writer {
	if shows {
		return io.MultiWriter(own, both, log)
	}
	return io.MultiWriter(own, both)
}

func trimNewline(b bytes.Buffer) string { return strings.TrimSuffix(b.String(), "\n") }

// lockedBuffer is a buffer that stdout and stderr may write to at the same time.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
