package main

import (
	"context"
	"encoding/json"
	"reflect"
	"sort"
	"testing"

	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

func newTestServer(t *testing.T) rpc.ResourceProviderServer {
	t.Helper()
	s, err := newServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryUpstreamResourceIsMappedOrLeftOutOnPurpose(t *testing.T) {
	info, _ := bridgedProvider()
	leftOut := map[string]bool{}
	for _, name := range info.IgnoreMappings {
		leftOut[name] = true
	}
	info.P.ResourcesMap().Range(func(name string, _ shim.Resource) bool {
		if _, mapped := info.Resources[name]; mapped == leftOut[name] {
			t.Errorf("%s: mapped %v, left out %v", name, mapped, leftOut[name])
		}
		return true
	})
}

func TestSchemaNamesTheResources(t *testing.T) {
	res, err := newTestServer(t).GetSchema(t.Context(), &rpc.GetSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Name, Version string
		Resources     map[string]any
	}
	if err := json.Unmarshal([]byte(res.Schema), &schema); err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for name := range schema.Resources {
		names = append(names, name)
	}
	sort.Strings(names)
	want := []string{
		"docker:index/container:Container", "docker:index/image:Image", "docker:index/network:Network",
		"docker:index/remoteImage:RemoteImage", "docker:index/tag:Tag", "docker:index/volume:Volume",
	}
	if schema.Name != "docker" || schema.Version != version || !reflect.DeepEqual(names, want) {
		t.Errorf("got %s %s %v, want docker %s %v", schema.Name, schema.Version, names, version, want)
	}
}

// The inputs are spelt as @pulumi/docker spells them.
func TestContainerInputsOfTheSDKPassUnchanged(t *testing.T) {
	inputs := map[string]any{
		"name": "c", "image": "sha256:0123", "start": false, "mustRun": false, "restart": "no", "command": []any{"sleep", "1"},
		"envs": []any{"A=1"}, "user": "65534:65534", "readOnly": true, "init": true, "memory": 256.0, "memorySwap": 256.0, "shmSize": 64.0,
		"stopTimeout": 3.0, "logDriver": "json-file", "logOpts": map[string]any{"max-size": "10m"}, "tmpfs": map[string]any{"/tmp": "size=10m"},
		"capabilities": map[string]any{"drops": []any{"ALL"}}, "securityOpts": []any{"no-new-privileges:true"}, "gpus": "all",
		"labels":           []any{map[string]any{"label": "a", "value": "b"}},
		"ports":            []any{map[string]any{"internal": 8080.0, "external": 8081.0, "ip": "127.0.0.1"}},
		"mounts":           []any{map[string]any{"type": "volume", "source": "v", "target": "/m", "readOnly": true}},
		"networksAdvanced": []any{map[string]any{"name": "n", "aliases": []any{"x"}}},
		"healthcheck":      map[string]any{"tests": []any{"CMD", "true"}, "interval": "5s", "timeout": "2s", "retries": 3.0, "startPeriod": "1s"},
		"devices":          []any{map[string]any{"hostPath": "/dev/dri"}},
		"ulimits":          []any{map[string]any{"name": "memlock", "hard": -1.0, "soft": -1.0}},
	}
	got := checkInputs(t, "docker:index/container:Container", inputs)
	for name, want := range inputs {
		if !reflect.DeepEqual(withoutDefaults(got[name]), want) {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}

// Without this the test above could not fail.
func TestInputsThatTheBridgeDoesNotKnowGetLost(t *testing.T) {
	got := checkInputs(t, "docker:index/container:Container", map[string]any{"name": "c", "image": "i", "networks_advanced": []any{}, "env": []any{"A=1"}})
	for _, name := range []string{"networks_advanced", "env"} {
		if got[name] != nil {
			t.Errorf("%s passed: %v", name, got[name])
		}
	}
}

func TestVolumesAndNetworksAreNamedAfterTheResource(t *testing.T) {
	for _, token := range []string{"docker:index/volume:Volume", "docker:index/network:Network"} {
		name, _ := checkInputs(t, token, map[string]any{})["name"].(string)
		if len(name) != len("x-1234567") || name[:2] != "x-" {
			t.Errorf("%s: got %q, want x- and seven digits", token, name)
		}
	}
}

func checkInputs(t *testing.T, token string, inputs map[string]any) map[string]any {
	t.Helper()
	news, err := structpb.NewStruct(inputs)
	if err != nil {
		t.Fatal(err)
	}
	request := &rpc.CheckRequest{Urn: "urn:pulumi:s::p::" + token + "::x", News: news, RandomSeed: make([]byte, 32)}
	res, err := newTestServer(t).Check(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failures) > 0 {
		t.Fatal(res.Failures)
	}
	return res.Inputs.AsMap()
}

// withoutDefaults drops what the bridge added to objects.
func withoutDefaults(v any) any {
	switch v := v.(type) {
	case map[string]any:
		added := map[any]bool{"__defaults": true}
		if names, ok := v["__defaults"].([]any); ok {
			for _, name := range names {
				added[name] = true
			}
		}
		kept := map[string]any{}
		for name, value := range v {
			if !added[name] {
				kept[name] = withoutDefaults(value)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = withoutDefaults(v[i])
		}
		return kept
	}
	return v
}
