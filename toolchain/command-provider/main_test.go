package main

import (
	"encoding/json"
	"reflect"
	"sort"
	"testing"

	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

const urn = resource.URN("urn:pulumi:s::p::command:local:Command::c")

func newTestServer(t *testing.T) integration.Server {
	t.Helper()
	server, err := integration.NewServer(t.Context(), "command", semver.MustParse("1.2.1"), integration.WithProvider(newProvider()))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func inputs(m map[string]property.Value) property.Map { return property.NewMap(m) }

// The lists are those of the official provider 1.2.1's schema.
func TestTheSchemaHasTheOfficialProperties(t *testing.T) {
	res, err := newTestServer(t).GetSchema(p.GetSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	type properties struct {
		Properties map[string]struct{}
		Required   []string
	}
	var schema struct {
		Functions map[string]struct{ Inputs, Outputs properties }
		Resources map[string]struct {
			Properties, InputProperties map[string]struct{ ReplaceOnChanges bool }
			Required, RequiredInputs    []string
		}
	}
	if err := json.Unmarshal([]byte(res.Schema), &schema); err != nil {
		t.Fatal(err)
	}
	command, ok := schema.Resources["command:local:Command"]
	if !ok || len(schema.Resources) != 1 {
		t.Fatalf("got resources %v", schema.Resources)
	}
	wantInputs := []string{
		"addPreviousOutputInEnv", "archivePaths", "assetPaths", "create", "delete", "dir", "environment", "interpreter", "logging",
		"stdin", "triggers", "update",
	}
	wantOutputs := append([]string{"archive", "assets", "stderr", "stdout"}, wantInputs...)
	sort.Strings(wantOutputs)
	if got := keys(command.InputProperties); !reflect.DeepEqual(got, wantInputs) {
		t.Errorf("inputs: got %v, want %v", got, wantInputs)
	}
	if got := keys(command.Properties); !reflect.DeepEqual(got, wantOutputs) {
		t.Errorf("outputs: got %v, want %v", got, wantOutputs)
	}
	sort.Strings(command.Required)
	if want := []string{"stderr", "stdout"}; !reflect.DeepEqual(command.Required, want) || len(command.RequiredInputs) != 0 {
		t.Errorf("required: got %v and %v", command.Required, command.RequiredInputs)
	}
	run, ok := schema.Functions["command:local:run"]
	if !ok || len(schema.Functions) != 1 {
		t.Fatalf("got functions %v", schema.Functions)
	}
	wantInputs = []string{"addPreviousOutputInEnv", "archivePaths", "assetPaths", "command", "dir", "environment", "interpreter", "logging", "stdin"}
	wantOutputs = append([]string{"archive", "assets", "stderr", "stdout"}, wantInputs...)
	sort.Strings(wantOutputs)
	if got := keys(run.Inputs.Properties); !reflect.DeepEqual(got, wantInputs) {
		t.Errorf("function inputs: got %v, want %v", got, wantInputs)
	}
	if got := keys(run.Outputs.Properties); !reflect.DeepEqual(got, wantOutputs) {
		t.Errorf("function outputs: got %v, want %v", got, wantOutputs)
	}
	sort.Strings(run.Outputs.Required)
	if want := []string{"command", "stderr", "stdout"}; !reflect.DeepEqual(run.Inputs.Required, want[:1]) || !reflect.DeepEqual(run.Outputs.Required, want) {
		t.Errorf("function required: got %v and %v", run.Inputs.Required, run.Outputs.Required)
	}
	for name, input := range command.InputProperties {
		if input.ReplaceOnChanges != (name == "triggers") {
			t.Errorf("%s: replaceOnChanges is %v", name, input.ReplaceOnChanges)
		}
	}
}

// A change inside of the triggers reads as an update here, as with the official provider: the SDK has the engine replace on `triggers[*]`.
func TestDiffNamesWhatChanged(t *testing.T) {
	old := inputs(map[string]property.Value{"create": property.New("true"), "triggers": property.New([]property.Value{property.New("1")})})
	without := old.Delete("triggers")
	for _, c := range []struct {
		name      string
		old, news property.Map
		want      map[string]p.DiffKind
	}{
		{"nothing", old, old, map[string]p.DiffKind{}},
		{"triggers where there were none", without, old, map[string]p.DiffKind{"triggers": p.AddReplace}},
		{"no triggers where there were some", old, without, map[string]p.DiffKind{"triggers": p.DeleteReplace}},
		{"a trigger's value", old, old.Set("triggers", property.New([]property.Value{property.New("2")})), map[string]p.DiffKind{"triggers[0]": p.Update}},
		{"the command", old, old.Set("create", property.New("false")), map[string]p.DiffKind{"create": p.Update}},
		{"a new input", old, old.Set("dir", property.New("/")), map[string]p.DiffKind{"dir": p.Add}},
	} {
		res, err := newTestServer(t).Diff(p.DiffRequest{ID: "c1", Urn: urn, State: c.old, OldInputs: c.old, Inputs: c.news})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]p.DiffKind{}
		for name, d := range res.DetailedDiff {
			got[name] = d.Kind
		}
		if res.HasChanges != (len(c.want) > 0) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// As with the official provider, what a command prints is not secret because its input was: that takes `additionalSecretOutputs`.
func TestSecretInputsStaySecret(t *testing.T) {
	news := inputs(map[string]property.Value{"create": property.New("cat"), "stdin": property.New("s3cret").WithSecret(true)})
	res, err := newTestServer(t).Create(p.CreateRequest{Urn: urn, Properties: news})
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]bool{"stdin": true, "stdout": false} {
		if got := res.Properties.Get(name); got.AsString() != "s3cret" || got.Secret() != secret {
			t.Errorf("%s: got %v, want secret %v", name, got, secret)
		}
	}
}

func TestAnUnknownLoggingIsRefused(t *testing.T) {
	res, err := newTestServer(t).Check(p.CheckRequest{Urn: urn, Inputs: inputs(map[string]property.Value{"logging": property.New(true)})})
	if err == nil && len(res.Failures) == 0 {
		t.Error("logging: true passed")
	}
}

func keys[V any](m map[string]V) []string {
	names := []string{}
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
