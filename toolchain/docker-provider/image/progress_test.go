package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	controlapi "github.com/moby/buildkit/api/services/control"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func trace(t *testing.T, status *controlapi.StatusResponse) jsonmessage.JSONMessage {
	t.Helper()
	encoded, err := status.MarshalVT()
	must(t, err)
	aux, err := json.Marshal(encoded)
	must(t, err)
	raw := json.RawMessage(aux)
	return jsonmessage.JSONMessage{ID: traceID, Aux: &raw}
}

func vertex(digest, name, failure string) *controlapi.StatusResponse {
	return &controlapi.StatusResponse{Vertexes: []*controlapi.Vertex{
		{Digest: digest, Name: name, Error: failure, Started: timestamppb.New(time.Unix(1, 0))},
	}}
}

func logs(digest, text string) *controlapi.StatusResponse {
	return &controlapi.StatusResponse{Logs: []*controlapi.VertexLog{{Vertex: digest, Msg: []byte(text)}}}
}

func TestProgressShowsStepsAndTheirLinesOnce(t *testing.T) {
	var shown []string
	p := newProgress(func(line string) { shown = append(shown, line) })
	p.add(trace(t, vertex("1", "[1/2] FROM x", "")))
	p.add(trace(t, vertex("1", "[1/2] FROM x", "")))
	p.add(trace(t, vertex("2", "[2/2] RUN make", "")))
	p.add(trace(t, logs("2", "half a ")))
	p.add(trace(t, logs("2", "line\n\n10%\r20%\r\n")))
	want := []string{"[1/2] FROM x", "[2/2] RUN make", "half a line", "20%"}
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("got %q, want %q", shown, want)
	}
}

func TestAFailureEndsWithTheFailingStepsLastLines(t *testing.T) {
	p := newProgress(func(string) {})
	p.add(trace(t, vertex("1", "[1/2] RUN fine", "")))
	p.add(trace(t, logs("1", "all good\n")))
	p.add(trace(t, vertex("2", "[2/2] RUN make", "")))
	for i := range 100 {
		p.add(trace(t, logs("2", fmt.Sprintf("line %d\n", i))))
	}
	p.add(trace(t, logs("2", "fatal: no newline at the end")))
	p.add(trace(t, vertex("2", "[2/2] RUN make", "exit code: 1")))

	cause := errors.New("exit code: 1")
	err := p.fail(cause)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2+tailLines || lines[1] != "last output of [2/2] RUN make:" || lines[2] != "  line 61" || lines[len(lines)-1] != "  fatal: no newline at the end" {
		t.Errorf("got %d lines: %s", len(lines), err)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
}

func TestAFailureOfTheOldBuilderEndsWithTheLastLines(t *testing.T) {
	p := newProgress(func(string) {})
	for _, stream := range []string{"Step 1/1 : RUN make\n", "make: no rule\n"} {
		p.add(jsonmessage.JSONMessage{Stream: stream})
	}
	want := "exit 2\nthe build's last output:\n  Step 1/1 : RUN make\n  make: no rule"
	if got := p.fail(errors.New("exit 2")).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFailureWithoutOutputIsTheCauseAlone(t *testing.T) {
	if got := newProgress(func(string) {}).fail(errors.New("x")).Error(); got != "x" {
		t.Errorf("got %q", got)
	}
}
