// Package image holds `docker:index/image:Image`: an image built by the engine's BuildKit and rebuilt when its inputs or the content of its
// build context change.
package image

import (
	"context"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

// Token is the resource's type.
const Token = "docker:index/image:Image"

// inputsKey holds the inputs that the image was built from, in the state, where the official provider keeps and looks for them.
const inputsKey = "__inputs"

// Engine connects to the Docker engine that the provider is configured for.
type Engine func(context.Context) (*client.Client, error)

// Host shows messages to whoever runs Pulumi; status messages are shown only until the next one.
type Host interface {
	Log(context.Context, diag.Severity, resource.URN, string) error
	LogStatus(context.Context, diag.Severity, resource.URN, string) error
}

// Resource answers the engine's requests for images.
type Resource struct {
	engine    Engine
	host      Host
	cancelled context.Context
	cancel    context.CancelFunc
}

// NewResource returns the resource for one engine.
func NewResource(engine Engine, host Host) *Resource {
	cancelled, cancel := context.WithCancel(context.Background())
	return &Resource{engine, host, cancelled, cancel}
}

// Cancel aborts the builds under way and all later ones.
func (r *Resource) Cancel() { r.cancel() }

// Check validates the inputs and adds what decides about a rebuild: defaults and the digest of the build context.
func (r *Resource) Check(ctx context.Context, req *rpc.CheckRequest) (*rpc.CheckResponse, error) {
	inputs, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	checked, failures := checkInputs(inputs)
	if len(failures) > 0 {
		return &rpc.CheckResponse{Inputs: req.GetNews(), Failures: failures}, nil
	}
	if !hasPlatform(inputs) {
		message := fmt.Sprintf("building for %s; set build.platform to say so explicitly", hostPlatform())
		_ = r.host.LogStatus(ctx, diag.Info, resource.URN(req.GetUrn()), message)
	}
	out, err := marshal(checked)
	return &rpc.CheckResponse{Inputs: out}, err
}

// Diff compares the inputs that the image was built from with the new ones. Nothing replaces an image; any difference builds it again.
func (r *Resource) Diff(_ context.Context, req *rpc.DiffRequest) (*rpc.DiffResponse, error) {
	state, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	news, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	changed := diffInputs(builtFrom(state), news)
	if len(changed) == 0 {
		return &rpc.DiffResponse{Changes: rpc.DiffResponse_DIFF_NONE}, nil
	}
	return &rpc.DiffResponse{Changes: rpc.DiffResponse_DIFF_SOME, DetailedDiff: changed, HasDetailedDiff: true}, nil
}

// Create builds the image.
func (r *Resource) Create(ctx context.Context, req *rpc.CreateRequest) (*rpc.CreateResponse, error) {
	id, state, err := r.apply(ctx, resource.URN(req.GetUrn()), req.GetProperties(), req.GetPreview())
	return &rpc.CreateResponse{Id: id, Properties: state}, err
}

// Update builds the image again.
func (r *Resource) Update(ctx context.Context, req *rpc.UpdateRequest) (*rpc.UpdateResponse, error) {
	_, state, err := r.apply(ctx, resource.URN(req.GetUrn()), req.GetNews(), req.GetPreview())
	return &rpc.UpdateResponse{Properties: state}, err
}

// Read finds out whether the built image still exists. Its tag may have moved meanwhile: what was built is known by its id.
func (r *Resource) Read(ctx context.Context, req *rpc.ReadRequest) (*rpc.ReadResponse, error) {
	state, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	built := state["repoDigest"]
	if !built.IsString() {
		return nil, fmt.Errorf("docker.Image %q: reading an image that this stack did not build is not supported", req.GetId())
	}
	engine, err := r.engine(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := engine.ImageInspect(ctx, built.StringValue()); cerrdefs.IsNotFound(err) {
		return &rpc.ReadResponse{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("inspecting image %s: %w", built.StringValue(), err)
	}
	return &rpc.ReadResponse{Id: req.GetId(), Inputs: req.GetInputs(), Properties: req.GetProperties()}, nil
}

// apply builds and returns the resource's id and state; in a preview, it returns the inputs, and builds only where that was asked for.
func (r *Resource) apply(ctx context.Context, urn resource.URN, props *structpb.Struct, preview bool) (string, *structpb.Struct, error) {
	inputs, err := unmarshal(props)
	if err != nil {
		return "", nil, err
	}
	if preview && !previewBuilds(inputs) {
		return "", props, nil
	}
	spec, err := parseSpec(inputs)
	if err != nil {
		return "", nil, err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(r.cancelled, stop)()
	built, err := r.build(ctx, urn, spec)
	if err != nil {
		return "", nil, err
	}

	state, err := plugin.MarshalProperties(resource.PropertyMap{
		"imageName":      resource.NewProperty(spec.name),
		"baseImageName":  resource.NewProperty(spec.name),
		"registryServer": resource.NewProperty(""),
		"context":        resource.NewProperty(spec.context),
		"dockerfile":     resource.NewProperty(built.dockerfile),
		"platform":       resource.NewProperty(spec.platform),
		"repoDigest":     resource.NewProperty(built.id),
		inputsKey:        resource.MakeSecret(resource.NewProperty(inputs)),
	}, plugin.MarshalOptions{KeepSecrets: true, KeepUnknowns: true, SkipNulls: true})
	return spec.name, state, err
}

// builtFrom returns the inputs recorded in a state, nil if there are none.
func builtFrom(state resource.PropertyMap) resource.PropertyMap {
	recorded := state[inputsKey]
	if recorded.IsSecret() {
		recorded = recorded.SecretValue().Element
	}
	if !recorded.IsObject() {
		return nil
	}
	return recorded.ObjectValue()
}

func unmarshal(props *structpb.Struct) (resource.PropertyMap, error) {
	return plugin.UnmarshalProperties(props, plugin.MarshalOptions{KeepUnknowns: true, SkipNulls: true})
}

func marshal(props resource.PropertyMap) (*structpb.Struct, error) {
	return plugin.MarshalProperties(props, plugin.MarshalOptions{KeepUnknowns: true, SkipNulls: true})
}
