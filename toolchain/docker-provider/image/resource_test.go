package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

// These tests talk to an engine of their own making, through the old builder: they don't prove that a real BuildKit session works.

const builtID = "sha256:1111"

const urn = "urn:pulumi:s::p::docker:index/image:Image::i"

type fakeHost struct {
	mu    sync.Mutex
	lines []string
}

func (h *fakeHost) Log(_ context.Context, _ diag.Severity, _ resource.URN, line string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
	return nil
}

func (h *fakeHost) LogStatus(ctx context.Context, s diag.Severity, u resource.URN, line string) error {
	return h.Log(ctx, s, u, line)
}

// fakeEngine builds anything to builtID, or fails with failure, and knows the images in images.
type fakeEngine struct {
	images  map[string]bool
	failure string
	hang    bool
	builds  []string // the names in each context sent
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch _, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
	case rest == "build":
		e.builds = append(e.builds, strings.Join(tarNames(r.Body), " "))
		if e.hang {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprintln(w, `{"stream":"Step 1/1\n"}`)
		if e.failure != "" {
			fmt.Fprintf(w, `{"stream":"cc: oops\n"}{"errorDetail":{"message":%q},"error":%q}`, e.failure, e.failure)
			return
		}
		e.images[builtID] = true
		fmt.Fprintf(w, `{"aux":{"ID":%q}}`, builtID)
	case strings.HasPrefix(rest, "images/") && strings.HasSuffix(rest, "/json"):
		id := strings.TrimSuffix(strings.TrimPrefix(rest, "images/"), "/json")
		if !e.images[id] {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"no such image"}`)
			return
		}
		fmt.Fprintf(w, `{"Id":%q}`, id)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func tarNames(body io.Reader) []string {
	var names []string
	for archive := tar.NewReader(body); ; {
		header, err := archive.Next()
		if err != nil {
			break
		}
		if header.Typeflag == tar.TypeReg {
			names = append(names, header.Name)
		}
	}
	sort.Strings(names)
	return names
}

func newFixture(t *testing.T, engine *fakeEngine) (*Resource, *fakeHost) {
	t.Helper()
	engine.images = map[string]bool{}
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	docker, err := client.NewClientWithOpts(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithVersion("1.41"))
	must(t, err)
	host := &fakeHost{}
	return NewResource(func(context.Context) (*client.Client, error) { return docker, nil }, host), host
}

func imageInputs(extra map[string]any) *structpb.Struct {
	build := map[string]any{"context": "ctx", "platform": "linux/amd64", "builderVersion": "BuilderV1"}
	for name, value := range extra {
		build[name] = value
	}
	s, err := structpb.NewStruct(map[string]any{"imageName": "a:b", "skipPush": true, "build": build})
	if err != nil {
		panic(err)
	}
	return s
}

func checked(t *testing.T, r *Resource, inputs *structpb.Struct) *structpb.Struct {
	t.Helper()
	res, err := r.Check(t.Context(), &rpc.CheckRequest{Urn: urn, News: inputs})
	must(t, err)
	if len(res.Failures) > 0 {
		t.Fatal(res.Failures)
	}
	return res.Inputs
}

func TestAnImageIsBuiltOnceAndAgainOnlyForItsContent(t *testing.T) {
	dir := exampleContext(t)
	t.Chdir(dir)
	r, host := newFixture(t, &fakeEngine{})
	inputs := checked(t, r, imageInputs(nil))
	created, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: inputs})
	must(t, err)

	outputs := created.Properties.AsMap()
	delete(outputs, inputsKey)
	want := map[string]any{
		"imageName": "a:b", "baseImageName": "a:b", "registryServer": "", "context": "ctx", "dockerfile": "Dockerfile",
		"platform": "linux/amd64", "repoDigest": builtID,
	}
	if created.Id != "a:b" || !reflect.DeepEqual(outputs, want) {
		t.Errorf("got id %q and %v, want a:b and %v", created.Id, outputs, want)
	}
	if !strings.Contains(strings.Join(host.lines, "\n"), "Step 1/1") {
		t.Errorf("the progress was not shown: %q", host.lines)
	}

	diff := func() rpc.DiffResponse_DiffChanges {
		res, err := r.Diff(t.Context(), &rpc.DiffRequest{Urn: urn, Olds: created.Properties, News: checked(t, r, imageInputs(nil))})
		must(t, err)
		return res.Changes
	}
	later := time.Now().Add(time.Hour)
	must(t, os.Chtimes(filepath.Join(dir, "ctx/src/main.c"), later, later))
	if diff() != rpc.DiffResponse_DIFF_NONE {
		t.Error("a touched file counts as a difference")
	}
	writeFiles(t, dir, map[string]string{"ctx/src/main.c": "main2\n"})
	if diff() != rpc.DiffResponse_DIFF_SOME {
		t.Error("changed content counts as no difference")
	}
}

func TestTheContextIsSentWithoutIgnoredFiles(t *testing.T) {
	t.Chdir(exampleContext(t))
	engine := &fakeEngine{}
	r, _ := newFixture(t, engine)
	_, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: checked(t, r, imageInputs(nil))})
	must(t, err)
	if want := ".dockerignore Dockerfile keep.log run.sh src/main.c"; engine.builds[0] != want {
		t.Errorf("got %q, want %q", engine.builds[0], want)
	}

	created, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: checked(t, r, imageInputs(map[string]any{"dockerfile": "other.Dockerfile"}))})
	must(t, err)
	if !strings.HasPrefix(engine.builds[1], ".dockerfile.") || created.Properties.AsMap()["dockerfile"] != "../other.Dockerfile" {
		t.Errorf("the dockerfile outside of the context: sent %q, recorded %v", engine.builds[1], created.Properties.AsMap()["dockerfile"])
	}
}

func TestAFailedBuildSaysWhatTheBuildSaid(t *testing.T) {
	t.Chdir(exampleContext(t))
	r, _ := newFixture(t, &fakeEngine{failure: "exit code: 2"})
	_, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: checked(t, r, imageInputs(nil))})
	want := "building a:b: exit code: 2\nthe build's last output:\n  Step 1/1\n  cc: oops"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAPreviewBuildsNothingUnlessAsked(t *testing.T) {
	t.Chdir(exampleContext(t))
	engine := &fakeEngine{}
	r, _ := newFixture(t, engine)
	inputs := checked(t, r, imageInputs(nil))
	_, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: inputs, Preview: true})
	must(t, err)
	_, err = r.Update(t.Context(), &rpc.UpdateRequest{Urn: urn, News: inputs, Preview: true})
	must(t, err)
	if len(engine.builds) != 0 {
		t.Fatal("built in a preview")
	}
	inputs.Fields["buildOnPreview"] = structpb.NewBoolValue(true)
	_, err = r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: inputs, Preview: true})
	must(t, err)
	if len(engine.builds) != 1 {
		t.Error("buildOnPreview did not build")
	}
}

func TestReadNoticesAPrunedImage(t *testing.T) {
	t.Chdir(exampleContext(t))
	engine := &fakeEngine{}
	r, _ := newFixture(t, engine)
	created, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: checked(t, r, imageInputs(nil))})
	must(t, err)

	request := &rpc.ReadRequest{Urn: urn, Id: created.Id, Properties: created.Properties}
	read, err := r.Read(t.Context(), request)
	must(t, err)
	if read.Id != "a:b" || !reflect.DeepEqual(read.Properties.AsMap(), created.Properties.AsMap()) {
		t.Errorf("an existing image reads as %v", read)
	}
	delete(engine.images, builtID)
	read, err = r.Read(t.Context(), request)
	must(t, err)
	if read.Id != "" {
		t.Errorf("a pruned image reads as %v", read)
	}
}

func TestCancelEndsABuild(t *testing.T) {
	t.Chdir(exampleContext(t))
	r, _ := newFixture(t, &fakeEngine{hang: true})
	inputs := checked(t, r, imageInputs(nil))
	time.AfterFunc(50*time.Millisecond, r.Cancel)
	done := make(chan error)
	go func() {
		_, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: inputs})
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a cancelled build succeeded")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the build went on")
	}
}

func TestTheStateKeepsTheInputsSecret(t *testing.T) {
	t.Chdir(exampleContext(t))
	r, _ := newFixture(t, &fakeEngine{})
	created, err := r.Create(t.Context(), &rpc.CreateRequest{Urn: urn, Properties: checked(t, r, imageInputs(map[string]any{"args": map[string]any{"TOKEN": "t"}}))})
	must(t, err)
	recorded, err := json.Marshal(created.Properties.AsMap()[inputsKey])
	must(t, err)
	if !strings.Contains(string(recorded), resource.SecretSig) {
		t.Errorf("not marked as secret: %s", recorded)
	}
}
