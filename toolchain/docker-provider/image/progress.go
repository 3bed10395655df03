package image

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/docker/docker/pkg/jsonmessage"
	controlapi "github.com/moby/buildkit/api/services/control"
)

// traceID marks the messages that carry BuildKit's own progress.
const traceID = "moby.buildkit.trace"

// tailLines is how much of the failing step's output an error shows.
const tailLines = 40

// progress shows a build's output line by line and remembers the end of each step's.
type progress struct {
	show    func(string)
	started map[string]bool
	steps   map[string]*step
	failed  *step
	plain   step // the old builder has one stream, no steps
}

type step struct {
	name    string
	partial string
	tail    []string
}

func newProgress(show func(string)) *progress {
	return &progress{show: show, started: map[string]bool{}, steps: map[string]*step{}}
}

// add takes one message of the engine.
func (p *progress) add(message jsonmessage.JSONMessage) {
	switch {
	case message.ID == traceID && message.Aux != nil:
		var encoded []byte
		var status controlapi.StatusResponse
		if json.Unmarshal(*message.Aux, &encoded) == nil && status.UnmarshalVT(encoded) == nil {
			p.addTrace(&status)
		}
	case message.Stream != "":
		p.write(&p.plain, message.Stream)
	case message.Status != "":
		line := message.Status
		if message.Progress != nil {
			line += " " + message.Progress.String()
		}
		p.show(line)
	}
}

func (p *progress) addTrace(status *controlapi.StatusResponse) {
	for _, vertex := range status.Vertexes {
		s := p.step(vertex.Digest)
		s.name = vertex.Name
		if vertex.Started != nil && !p.started[vertex.Digest] {
			p.started[vertex.Digest] = true
			p.show(vertex.Name)
		}
		if vertex.Error != "" && (p.failed == nil || len(s.tail) > 0) {
			p.failed = s
		}
	}
	for _, log := range status.Logs {
		p.write(p.step(log.Vertex), string(log.Msg))
	}
	for _, warning := range status.Warnings {
		p.show("warning: " + string(warning.Short))
	}
}

func (p *progress) step(digest string) *step {
	if p.steps[digest] == nil {
		p.steps[digest] = &step{}
	}
	return p.steps[digest]
}

// write shows the complete lines of what a step has written so far.
func (p *progress) write(s *step, text string) {
	lines := strings.Split(s.partial+text, "\n")
	s.partial = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		line = line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:] // what a terminal would show
		if line = strings.TrimRight(line, " \t\r"); line == "" {
			continue
		}
		p.show(line)
		s.tail = append(s.tail, line)
		if len(s.tail) > tailLines {
			s.tail = s.tail[1:]
		}
	}
}

// fail adds the step that failed and the end of its output to an error.
func (p *progress) fail(err error) error {
	s := &p.plain
	if p.failed != nil {
		s = p.failed
	}
	if s.partial != "" {
		p.write(s, "\n")
	}
	if len(s.tail) == 0 {
		return err
	}
	heading := "the build's last output"
	if s.name != "" {
		heading = "last output of " + s.name
	}
	return fmt.Errorf("%w\n%s:\n  %s", err, heading, strings.Join(s.tail, "\n  "))
}
