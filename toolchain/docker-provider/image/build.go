package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	clibuild "github.com/docker/cli/cli/command/image/build"
	"github.com/docker/cli/cli/config"
	buildtypes "github.com/docker/docker/api/types/build"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/go-archive"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

type builtImage struct {
	id         string
	dockerfile string // relative to the context
}

// build sends the context to the engine, shows the progress, and returns the image that came out.
func (r *Resource) build(ctx context.Context, urn resource.URN, s spec) (builtImage, error) {
	engine, err := r.engine(ctx)
	if err != nil {
		return builtImage{}, err
	}
	tarball, sentDockerfile, dockerfile, err := packContext(s)
	if err != nil {
		return builtImage{}, fmt.Errorf("packing the build context %s: %w", s.context, err)
	}
	defer tarball.Close()

	options := buildtypes.ImageBuildOptions{
		Tags: []string{s.name}, Dockerfile: sentDockerfile, BuildArgs: s.args, Target: s.target, Platform: s.platform,
		NetworkMode: s.network, ExtraHosts: s.addHosts, CacheFrom: s.cacheFrom, Version: s.builder, Remove: true, ForceRemove: true,
	}
	if s.builder == buildtypes.BuilderBuildKit {
		closeSession, id, err := openSession(ctx, engine)
		if err != nil {
			return builtImage{}, err
		}
		defer closeSession()
		options.SessionID = id
	}

	_ = r.host.LogStatus(ctx, diag.Info, urn, "sending the build context to the engine")
	response, err := engine.ImageBuild(ctx, tarball, options)
	if err != nil {
		return builtImage{}, fmt.Errorf("building %s: %w", s.name, err)
	}
	defer response.Body.Close()
	progress := newProgress(func(line string) { _ = r.host.LogStatus(ctx, diag.Info, urn, line) })
	id, err := followBuild(response.Body, progress)
	if err != nil {
		return builtImage{}, fmt.Errorf("building %s: %w", s.name, err)
	}
	inspected, err := engine.ImageInspect(ctx, id)
	if err != nil {
		return builtImage{}, fmt.Errorf("inspecting what %s was built to: %w", s.name, err)
	}
	return builtImage{inspected.ID, dockerfile}, nil
}

// packContext returns the context as a tar stream, the Dockerfile's name in it, and its name relative to the context (which it may lie outside of).
func packContext(s spec) (stream io.ReadCloser, sent, relative string, err error) {
	patterns, err := ignorePatterns(s.context, s.dockerfile)
	if err != nil {
		return nil, "", "", err
	}
	dir, relative, err := clibuild.GetContextFromLocalDir(s.context, s.dockerfile)
	if err != nil {
		return nil, "", "", err
	}
	if err := clibuild.ValidateContextDirectory(dir, patterns); err != nil {
		return nil, "", "", err
	}
	stream, err = archive.TarWithOptions(dir, &archive.TarOptions{
		ExcludePatterns: clibuild.TrimBuildFilesFromExcludes(patterns, relative, false),
		ChownOpts:       &archive.ChownOpts{UID: 0, GID: 0},
	})
	if err != nil || !strings.HasPrefix(relative, "../") {
		return stream, relative, relative, err
	}
	outside, err := os.Open(s.dockerfile)
	if err != nil {
		_ = stream.Close()
		return nil, "", "", err
	}
	stream, sent, err = clibuild.AddDockerfileToBuildContext(outside, stream)
	return stream, sent, relative, err
}

// openSession lets BuildKit ask for the registry credentials of whoever runs Pulumi.
func openSession(ctx context.Context, engine *client.Client) (func(), string, error) {
	s, err := session.NewSession(ctx, identity.NewID())
	if err != nil {
		return nil, "", err
	}
	credentials, err := config.Load(config.Dir())
	if err != nil {
		return nil, "", fmt.Errorf("reading the docker client's config: %w", err)
	}
	s.Allow(authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{ConfigFile: credentials}))
	dial := func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
		return engine.DialHijack(ctx, "/session", proto, meta)
	}
	go func() { _ = s.Run(ctx, dial) }() // if the session can't be had, the build says so
	return func() { _ = s.Close() }, s.ID(), nil
}

// followBuild reads the engine's messages to their end and returns the image's id.
func followBuild(messages io.Reader, progress *progress) (string, error) {
	id := ""
	decoder := json.NewDecoder(messages)
	for {
		var message jsonmessage.JSONMessage
		if err := decoder.Decode(&message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", progress.fail(fmt.Errorf("reading the engine's answer: %w", err))
		}
		if message.Error != nil {
			return "", progress.fail(message.Error)
		}
		if message.Aux != nil && message.ID != traceID {
			var result buildtypes.Result
			if json.Unmarshal(*message.Aux, &result) == nil && result.ID != "" {
				id = result.ID
			}
			continue
		}
		progress.add(message)
	}
	if id == "" {
		return "", progress.fail(errors.New("the engine ended without naming an image"))
	}
	return id, nil
}
