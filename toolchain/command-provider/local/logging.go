package local

import (
	"bufio"
	"io"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// Logging says which of a process's outputs the engine shows while it runs.
type Logging string

const (
	logStdout Logging = "stdout"
	logStderr Logging = "stderr"
	logBoth   Logging = "stdoutAndStderr"
	logNone   Logging = "none"
)

// Values lists the enumeration for the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: string(logStdout), Value: logStdout, Description: "Show stdout but not stderr"},
		{Name: string(logStderr), Value: logStderr, Description: "Show stderr but not stdout"},
		{Name: string(logBoth), Value: logBoth, Description: "Show stdout and stderr"},
		{Name: string(logNone), Value: logNone, Description: "Show nothing"},
	}
}

func (l *Logging) showsStdout() bool { return l == nil || *l == logStdout || *l == logBoth }
func (l *Logging) showsStderr() bool { return l == nil || *l == logStderr || *l == logBoth }

// maxLogLine cuts what is shown, not what is captured: the engine refuses messages of some MiB.
const maxLogLine = 16 << 10

// showLines passes each line of r to show until r ends. It always reads r to its end, so that a writer can't block on it.
func showLines(r io.Reader, show func(string)) {
	lines := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, isPrefix, err := lines.ReadLine()
		if err != nil {
			_, _ = io.Copy(io.Discard, r)
			return
		}
		show(string(line))
		for isPrefix && err == nil {
			_, isPrefix, err = lines.ReadLine()
		}
	}
}
