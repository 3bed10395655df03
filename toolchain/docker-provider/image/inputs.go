package image

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"

	buildtypes "github.com/docker/docker/api/types/build"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// spec is a build, all its inputs known.
type spec struct {
	name       string
	context    string
	dockerfile string // relative to the working directory, like context, not to the context
	platform   string
	target     string
	network    string
	args       map[string]*string
	addHosts   []string
	cacheFrom  []string
	builder    buildtypes.BuilderVersion
}

// checkInputs returns the inputs with defaults and the context's digest filled in, or what is wrong with them. Unknown inputs pass.
func checkInputs(inputs resource.PropertyMap) (resource.PropertyMap, []*rpc.CheckFailure) {
	checked := inputs.Copy()
	if checked["buildOnPreview"].IsNull() {
		checked["buildOnPreview"] = resource.NewProperty(false)
	}
	failures := checkName(checked)

	if checked["build"].IsNull() {
		checked["build"] = resource.NewProperty(resource.PropertyMap{})
	}
	if !checked["build"].IsObject() {
		return checked, failures
	}
	build := checked["build"].ObjectValue().Copy()
	checked["build"] = resource.NewProperty(build)
	if build["context"].IsNull() {
		build["context"] = resource.NewProperty(".")
	}
	if build["dockerfile"].IsNull() && build["context"].IsString() {
		build["dockerfile"] = resource.NewProperty(path.Join(build["context"].StringValue(), "Dockerfile"))
	}
	if build["platform"].IsNull() {
		build["platform"] = resource.NewProperty(hostPlatform())
	}
	if _, err := builderVersion(build["builderVersion"]); err != nil {
		failures = append(failures, failure("build.builderVersion", err.Error()))
	}

	if build["context"].IsString() && build["dockerfile"].IsString() {
		context, dockerfile := build["context"].StringValue(), build["dockerfile"].StringValue()
		if reason := missingDockerfile(context, dockerfile); reason != "" {
			return checked, append(failures, failure("build.dockerfile", reason))
		}
		digest, err := contextDigest(context, dockerfile)
		if err != nil {
			return checked, append(failures, failure("build.context", err.Error()))
		}
		build["contextDigest"] = resource.NewProperty(digest)
	}
	return checked, failures
}

func checkName(inputs resource.PropertyMap) []*rpc.CheckFailure {
	var failures []*rpc.CheckFailure
	if name := inputs["imageName"]; name.IsNull() || name.IsString() && name.StringValue() == "" {
		failures = append(failures, failure("imageName", "missing, expected repository[:tag]"))
	}
	if push := inputs["skipPush"]; push.IsNull() || push.IsBool() && !push.BoolValue() {
		failures = append(failures, failure("skipPush", "this build of the docker provider can't push to registries; set skipPush to true, or install the official provider"))
	}
	return failures
}

// missingDockerfile says why a Dockerfile can't be used; "" if it can.
func missingDockerfile(context, dockerfile string) string {
	_, err := os.Stat(dockerfile)
	if err == nil {
		return ""
	}
	inContext := filepath.Join(context, dockerfile)
	if _, otherErr := os.Stat(inContext); otherErr == nil && !filepath.IsAbs(dockerfile) {
		return fmt.Sprintf("could not open dockerfile at relative path %q; it is relative to the project, not to the context: try %q", dockerfile, inContext)
	}
	return fmt.Sprintf("could not open dockerfile: %v", err)
}

// diffInputs lists the inputs that differ. Registry credentials don't count: nothing is pushed.
func diffInputs(olds, news resource.PropertyMap) map[string]*rpc.PropertyDiff {
	changed := map[string]*rpc.PropertyDiff{}
	diff := olds.Diff(news)
	if diff == nil {
		return changed
	}
	mark := func(key resource.PropertyKey, kind rpc.PropertyDiff_Kind) {
		if key != "registry" {
			changed[string(key)] = &rpc.PropertyDiff{Kind: kind, InputDiff: true}
		}
	}
	for key := range diff.Adds {
		mark(key, rpc.PropertyDiff_ADD)
	}
	for key := range diff.Deletes {
		mark(key, rpc.PropertyDiff_DELETE)
	}
	for key := range diff.Updates {
		mark(key, rpc.PropertyDiff_UPDATE)
	}
	return changed
}

// parseSpec reads checked inputs.
func parseSpec(inputs resource.PropertyMap) (spec, error) {
	if inputs.ContainsUnknowns() {
		return spec{}, fmt.Errorf("the inputs of docker.Image are not all known")
	}
	build := inputs["build"].ObjectValue()
	builder, err := builderVersion(build["builderVersion"])
	if err != nil {
		return spec{}, err
	}
	s := spec{
		name:       inputs["imageName"].StringValue(),
		context:    text(build["context"]),
		dockerfile: text(build["dockerfile"]),
		platform:   text(build["platform"]),
		target:     text(build["target"]),
		network:    text(build["network"]),
		addHosts:   texts(build["addHosts"]),
		builder:    builder,
	}
	if cache := build["cacheFrom"]; cache.IsObject() {
		s.cacheFrom = texts(cache.ObjectValue()["images"])
	}
	if args := build["args"]; args.IsObject() {
		s.args = map[string]*string{}
		for name, value := range args.ObjectValue() {
			value := text(value)
			s.args[string(name)] = &value
		}
	}
	return s, nil
}

func builderVersion(v resource.PropertyValue) (buildtypes.BuilderVersion, error) {
	switch {
	case v.IsNull() || v.IsComputed():
		return buildtypes.BuilderBuildKit, nil
	case v.IsString() && v.StringValue() == "BuilderBuildKit":
		return buildtypes.BuilderBuildKit, nil
	case v.IsString() && v.StringValue() == "BuilderV1":
		return buildtypes.BuilderV1, nil
	}
	return "", fmt.Errorf("got %s, expected BuilderBuildKit or BuilderV1", v)
}

func previewBuilds(inputs resource.PropertyMap) bool {
	wanted := inputs["buildOnPreview"]
	return wanted.IsBool() && wanted.BoolValue() && !inputs.ContainsUnknowns()
}

func hasPlatform(inputs resource.PropertyMap) bool {
	build := inputs["build"]
	return build.IsComputed() || build.IsObject() && !build.ObjectValue()["platform"].IsNull()
}

func hostPlatform() string { return "linux/" + runtime.GOARCH }

func failure(property, reason string) *rpc.CheckFailure {
	return &rpc.CheckFailure{Property: property, Reason: reason}
}

func text(v resource.PropertyValue) string {
	if v.IsString() {
		return v.StringValue()
	}
	return ""
}

func texts(v resource.PropertyValue) []string {
	if !v.IsArray() {
		return nil
	}
	var all []string
	for _, element := range v.ArrayValue() {
		all = append(all, text(element))
	}
	return all
}
