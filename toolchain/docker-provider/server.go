package main

import (
	"context"
	"encoding/json"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/terraform-providers/terraform-provider-docker/pulumi/image"
)

// server answers for `docker.Image` itself and leaves everything else to the bridged provider.
type server struct {
	rpc.ResourceProviderServer
	images    *image.Resource
	resources map[string]*tfbridge.ResourceInfo
}

func isImage(urn string) bool { return resource.URN(urn).Type() == image.Token }

// Cancel stops the builds under way, then tells the bridged provider.
func (s *server) Cancel(ctx context.Context, req *emptypb.Empty) (*emptypb.Empty, error) {
	s.images.Cancel()
	return s.ResourceProviderServer.Cancel(ctx, req)
}

// GetSchema names the resources and no more: programs use the published SDK, which has the full schema.
func (s *server) GetSchema(context.Context, *rpc.GetSchemaRequest) (*rpc.GetSchemaResponse, error) {
	names := map[string]any{image.Token: map[string]any{"requiredInputs": []string{"imageName"}}}
	for _, r := range s.resources {
		names[string(r.Tok)] = map[string]any{}
	}
	text, err := json.Marshal(map[string]any{
		"name": "docker", "version": version, "resources": names,
		"description": "Stand-in for the Pulumi Docker provider; the properties are in the SDK of the same version.",
	})
	return &rpc.GetSchemaResponse{Schema: string(text)}, err
}

func (s *server) Check(ctx context.Context, req *rpc.CheckRequest) (*rpc.CheckResponse, error) {
	if isImage(req.GetUrn()) {
		return s.images.Check(ctx, req)
	}
	return s.ResourceProviderServer.Check(ctx, req)
}

func (s *server) Diff(ctx context.Context, req *rpc.DiffRequest) (*rpc.DiffResponse, error) {
	if isImage(req.GetUrn()) {
		return s.images.Diff(ctx, req)
	}
	return s.ResourceProviderServer.Diff(ctx, req)
}

func (s *server) Create(ctx context.Context, req *rpc.CreateRequest) (*rpc.CreateResponse, error) {
	if isImage(req.GetUrn()) {
		return s.images.Create(ctx, req)
	}
	return s.ResourceProviderServer.Create(ctx, req)
}

func (s *server) Read(ctx context.Context, req *rpc.ReadRequest) (*rpc.ReadResponse, error) {
	if isImage(req.GetUrn()) {
		return s.images.Read(ctx, req)
	}
	return s.ResourceProviderServer.Read(ctx, req)
}

func (s *server) Update(ctx context.Context, req *rpc.UpdateRequest) (*rpc.UpdateResponse, error) {
	if isImage(req.GetUrn()) {
		return s.images.Update(ctx, req)
	}
	return s.ResourceProviderServer.Update(ctx, req)
}

// Delete keeps images, as the official provider does: another stack or an older container may use the same one.
func (s *server) Delete(ctx context.Context, req *rpc.DeleteRequest) (*emptypb.Empty, error) {
	if isImage(req.GetUrn()) {
		return &emptypb.Empty{}, nil
	}
	return s.ResourceProviderServer.Delete(ctx, req)
}
