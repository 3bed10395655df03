package image

import (
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func props(m map[string]any) resource.PropertyMap { return resource.NewPropertyMapFromMap(m) }

var unknown = resource.MakeComputed(resource.NewProperty(""))

func TestCheckFillsInWhatDecidesAboutARebuild(t *testing.T) {
	t.Chdir(exampleContext(t))
	got, failures := checkInputs(props(map[string]any{"imageName": "a:b", "skipPush": true, "build": map[string]any{"context": "ctx"}}))
	if len(failures) > 0 {
		t.Fatal(failures)
	}
	want := props(map[string]any{"imageName": "a:b", "skipPush": true, "buildOnPreview": false, "build": map[string]any{
		"context": "ctx", "dockerfile": "ctx/Dockerfile", "platform": hostPlatform(),
		"contextDigest": "deca205dcc206977d8305758486aa16ab22d4d9295f2217cc7668a19c108e78d",
	}})
	if diff := want.Diff(got); diff != nil {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Chdir(exampleContext(t))
	build := map[string]any{"context": "ctx"}
	cases := []struct {
		name     string
		inputs   map[string]any
		property string
		reason   string
	}{
		{"no name", map[string]any{"skipPush": true, "build": build}, "imageName", "missing"},
		{"a push by default", map[string]any{"imageName": "a", "build": build}, "skipPush", "can't push"},
		{"a push", map[string]any{"imageName": "a", "skipPush": false, "build": build}, "skipPush", "can't push"},
		{"an unknown builder", map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"context": "ctx", "builderVersion": "V3"}}, "build.builderVersion", "BuilderBuildKit or BuilderV1"},
		{"a missing dockerfile", map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"context": "ctx", "dockerfile": "Nope"}}, "build.dockerfile", "could not open"},
		{"a dockerfile named from the context", map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"context": "ctx", "dockerfile": "run.sh"}}, "build.dockerfile", `try "ctx/run.sh"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, failures := checkInputs(props(c.inputs))
			if len(failures) != 1 || failures[0].Property != c.property || !strings.Contains(failures[0].Reason, c.reason) {
				t.Errorf("got %v, want one failure of %s with %q", failures, c.property, c.reason)
			}
		})
	}
}

func TestCheckPassesUnknownInputs(t *testing.T) {
	t.Chdir(exampleContext(t))
	cases := map[string]resource.PropertyMap{
		"name":       {"imageName": unknown, "skipPush": resource.NewProperty(true), "build": resource.NewProperty(props(map[string]any{"context": "ctx"}))},
		"everything": {"imageName": unknown, "skipPush": unknown, "build": unknown},
		"context":    {"imageName": resource.NewProperty("a"), "skipPush": resource.NewProperty(true), "build": resource.NewProperty(resource.PropertyMap{"context": unknown})},
		"an argument": {"imageName": resource.NewProperty("a"), "skipPush": resource.NewProperty(true), "build": resource.NewProperty(resource.PropertyMap{
			"context": resource.NewProperty("ctx"), "args": resource.NewProperty(resource.PropertyMap{"A": unknown}),
		})},
	}
	for name, inputs := range cases {
		checked, failures := checkInputs(inputs)
		if len(failures) > 0 {
			t.Errorf("%s: %v", name, failures)
		}
		if previewBuilds(checked) {
			t.Errorf("%s: would build in a preview", name)
		}
	}
}

func TestDiffListsWhatChanged(t *testing.T) {
	olds := props(map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"contextDigest": "1"}, "registry": map[string]any{"password": "x"}})
	cases := []struct {
		name string
		news map[string]any
		want []string
	}{
		{"nothing", map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"contextDigest": "1"}, "registry": map[string]any{"password": "x"}}, []string{}},
		{"credentials only", map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"contextDigest": "1"}, "registry": map[string]any{"password": "y"}}, []string{}},
		{"the context", map[string]any{"imageName": "a", "skipPush": true, "build": map[string]any{"contextDigest": "2"}}, []string{"build"}},
		{"name and build", map[string]any{"imageName": "b", "skipPush": true, "build": map[string]any{"contextDigest": "1", "args": map[string]any{"A": "1"}}}, []string{"build", "imageName"}},
		{"a new input", map[string]any{"imageName": "a", "skipPush": true, "buildOnPreview": true, "build": map[string]any{"contextDigest": "1"}}, []string{"buildOnPreview"}},
	}
	for _, c := range cases {
		got := []string{}
		for key := range diffInputs(olds, props(c.news)) {
			got = append(got, key)
		}
		sort.Strings(got)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestParseSpecReadsEveryBuildOption(t *testing.T) {
	got, err := parseSpec(props(map[string]any{"imageName": "a:b", "build": map[string]any{
		"context": "ctx", "dockerfile": "D", "platform": "linux/arm64", "target": "t", "network": "host", "builderVersion": "BuilderV1",
		"args": map[string]any{"A": "1"}, "addHosts": []any{"h:1.2.3.4"}, "cacheFrom": map[string]any{"images": []any{"c:d"}},
	}}))
	must(t, err)
	one := "1"
	want := spec{"a:b", "ctx", "D", "linux/arm64", "t", "host", map[string]*string{"A": &one}, []string{"h:1.2.3.4"}, []string{"c:d"}, "1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
