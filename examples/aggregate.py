"""Two mini models, aggregated without training: python examples/aggregate.py."""

import torch

from amdm.layout import Instance, Layout
from amdm.pipeline import AMDMPipeline

circle, arch = Instance("a red circle", (0.08, 0.1, 0.42, 0.45)), Instance("a blue arch", (0.5, 0.15, 0.92, 0.55))
layout = Layout("a photo of a red circle and a blue arch ", (circle, arch))

pipe = AMDMPipeline.from_pretrained("mini", "interactdiffusion+migc")
out = pipe(layouts=layout, generator=torch.Generator().manual_seed(0), all_models=True)

out.images[0].resize((256, 256), 0).save("aggregated.png")
out.images_by_model["migc"][0].resize((256, 256), 0).save("migc.png")
