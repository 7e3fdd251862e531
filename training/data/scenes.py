"""Scenes of bodies, reference tubes and laid-in structures, as two scans of one object show them.

A batch holds two noise draws of every object, so that a loss can tell bias from noise. All is in units of the noise:
its real and imaginary part have standard deviation 1, and the number of averages shows as the height of the signal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import pad

from training.config import ScenePairSettings
from training.data.draws import Draw
from training.data.objects import SHAPE_SIZE, Objects
from training.data.physics import Lean, evolutions, field_shares, leaning_discs
from training.data.regions import blurred, body_regions, depths, tube_regions
from training.data.scanner import Scanner


def _mirrored(images: Tensor) -> Tensor:
    return torch.flip(images, (-1,))


def _upside_down(images: Tensor) -> Tensor:
    return torch.flip(images, (-2,))


def _transposed(images: Tensor) -> Tensor:
    return images.transpose(-1, -2)


_FLIPS = (_mirrored, _upside_down, _transposed)  # each or not: the eight symmetries of the square


@dataclass(frozen=True)
class Batch:
    """Two noise draws of every object.

    Attributes:
        noisy: (2 objects, 2, rows, columns) real and imaginary part; the draws of one object follow one another.
        clean: (objects, 2, rows, columns).
        body: (objects, 1, rows, columns) 1 where there is signal.
        tubes: (objects, tubes, 2, rows, columns) of their own; 0 where there is none.
        structures: (objects, structures, 2, rows, columns) likewise.
        regions: (objects, regions, 2, rows, columns) parts of bodies and tubes, of amplitude 1.
        averages: (objects,) of which this is the noise.
    """

    noisy: Tensor
    clean: Tensor
    body: Tensor
    tubes: Tensor
    structures: Tensor
    regions: Tensor
    averages: Tensor

    def __len__(self) -> int:
        """Number of images, two an object."""
        return len(self.noisy)

    def objects(self, first: int, last: int) -> Batch:
        """Those of some of the objects."""
        part = slice(first, last)
        others = {item.name: getattr(self, item.name)[part] for item in fields(self) if item.name != "noisy"}
        return Batch(self.noisy[2 * first : 2 * last], **others)


class Scenes:
    """Composes scenes and scans them.

    Args:
        objects: to compose them of.
        scanner: whose matrix may be wider than that of the objects.
        settings: what is drawn.
        pixel: mm.
    """

    def __init__(self, objects: Objects, scanner: Scanner, settings: ScenePairSettings, pixel: float) -> None:
        self.scanner = scanner
        self.settings = settings
        self.pixel = pixel
        self.crop = objects.bodies.shape[-1]
        self.device = scanner.device
        self.bodies = torch.from_numpy(objects.bodies).to(self.device)
        self.clearance = torch.from_numpy(objects.clearance).to(self.device)
        self.shapes = torch.from_numpy(objects.shapes).to(self.device)
        self.depth = torch.from_numpy(depths(objects.clearance)).to(self.device)
        kinds = torch.from_numpy(objects.kinds)
        self.members = [torch.nonzero(kinds == kind)[:, 0].to(self.device) for kind in range(len(settings.kinds))]
        matrix = scanner.matrix
        axis = torch.arange(matrix, device=self.device) - matrix // 2
        self.rows, self.columns = torch.meshgrid(axis, axis, indexing="ij")
        self.frequency = torch.fft.fftfreq(matrix, device=self.device), torch.fft.rfftfreq(matrix, device=self.device)

    def draw(self, generator: torch.Generator, objects: int) -> Batch:
        """A batch of so many objects, from this generator alone."""
        draw = Draw(generator, objects, self.device)
        settings = self.settings
        body, clearance, depth = self._bodies(draw)
        quantile = (torch.randperm(objects, generator=generator, device=self.device) + draw.uniform(0, 1)) / objects
        averages = settings.drawn[0] * (settings.drawn[1] / settings.drawn[0]) ** quantile
        noise = settings.noise * averages**-0.5 * torch.exp(settings.noise_spread * draw.normal())
        tubes = self._tubes(draw, clearance)
        total = body + tubes.sum(1)
        regions = torch.cat([body_regions(body, clearance, depth), tube_regions(tubes)], dim=1)
        structures = self._structures(draw, total, clearance, noise)
        phase = self._phase(draw)
        scale = 1 / noise[:, None, None]
        images = self._scanned(draw, generator, body + structures.sum(1), tubes.sum(1), scale * phase)
        total = total + structures.sum(1)
        mask = (blurred(total.abs()[:, None], 1.0)[:, 0] > 2.5).to(total.dtype)
        corner = self._corner(draw)
        own = (phase * scale)[:, None]
        return Batch(
            _channels(self._cropped(images[1:].transpose(0, 1).flatten(0, 1), corner.repeat_interleave(2, 0))),
            _channels(self._cropped(images[0], corner)),
            self._cropped(mask, corner)[:, None],
            _channels(self._cropped(tubes * own, corner)),
            _channels(self._cropped(structures * own, corner)),
            _channels(self._cropped(regions * phase[:, None], corner)),
            averages,
        )

    def _bodies(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Bodies in any of the eight symmetries, (objects, matrix, matrix), their clearance and their depth."""
        kind = draw.choice(self.settings.kinds)
        index = torch.zeros_like(kind)
        for number, members in enumerate(self.members):
            if len(members):
                index = torch.where(kind == number, members[draw.integer(len(members))], index)
        image, clearance, depth = (part[index].float() for part in (self.bodies, self.clearance, self.depth))
        strength = torch.exp(torch.where(kind == 0, 0.15, 0.4) * draw.normal())
        bright = (kind == 1) & (draw.uniform(0, 1) < self.settings.bright)
        image = image * torch.where(bright, strength * draw.uniform(2, 7), strength)[:, None, None]
        for flip in _FLIPS:
            chosen = (draw.uniform(0, 1) < 0.5)[:, None, None]
            image, clearance, depth = (torch.where(chosen, flip(part), part) for part in (image, clearance, depth))
        margin = self.scanner.matrix - image.shape[-1]
        edges = [margin // 2, margin - margin // 2] * 2
        return pad(image, edges), pad(clearance, edges, value=0.0), pad(depth, edges)

    def _tubes(self, draw: Draw, clearance: Tensor) -> Tensor:
        """Tubes beside the body that do not overlap, (objects, tubes, matrix, matrix) mmol/L."""
        settings = self.settings
        reach = (self.rows**2 + self.columns**2).sqrt()
        low, high = (diameter / (2 * self.pixel) for diameter in settings.diameter)
        count = torch.where(draw.uniform(0, 1) < settings.no_tubes, 0, 1 + draw.integer(settings.tubes))
        same, size = draw.uniform(0, 1) < 0.5, draw.uniform(low, high)
        brightest = draw.log_uniform(settings.brightest)
        free = clearance.clone()  # distance from body and tubes
        field = self.bodies.shape[-1] / 2
        leans = draw.happens(settings.leaning).float()
        tangent = torch.tan(leans * draw.uniform(*map(math.radians, settings.lean)))
        slab = draw.uniform(*settings.slab)
        made = []
        for number in range(settings.tubes):
            radius = torch.where(same, size, draw.uniform(low, high))[:, None, None]
            spot = (free > radius + draw.uniform(-0.5, 2.0)[:, None, None]) & (reach < field - radius + 1.0)
            row, column, found = draw.spot(spot)
            row, column = row + draw.uniform(-0.5, 0.5), column + draw.uniform(-0.5, 0.5)
            share = torch.where(draw.uniform(0, 1) < 0.5, draw.uniform(0.05, 1), 20 ** -draw.uniform(0, 1))
            level = (brightest * (1.0 if number == 0 else share)).clamp(min=settings.weakest)
            level = torch.where(found & (number < count), level, 0.0)
            lean = Lean(draw.uniform(0, 2 * torch.pi), tangent, slab / self.pixel)
            disc = self._shifted(leaning_discs(self.frequency, radius[:, 0, 0], lean), row, column)
            made.append(disc * level[:, None, None])
            apart = torch.hypot(self.rows - row[:, None, None], self.columns - column[:, None, None]) - radius
            free = torch.where((level > 0)[:, None, None], torch.minimum(free, apart), free)
        return torch.stack(made, dim=1)

    def _structures(self, draw: Draw, total: Tensor, clearance: Tensor, noise: Tensor) -> Tensor:
        """Small structures laid in, mostly within the body, (objects, structures, matrix, matrix) mmol/L."""
        settings = self.settings
        inside = clearance <= 0
        inside &= (self.rows.abs() < self.bodies.shape[-1] / 2) & (self.columns.abs() < self.bodies.shape[-1] / 2)
        near = torch.hypot(self.rows.float(), self.columns.float()) < self.bodies.shape[-1] / 2 - 2
        count = 1 + draw.integer(settings.structures)
        made = []
        for number in range(settings.structures):
            anywhere = (draw.uniform(0, 1) < 0.03)[:, None, None]
            row, column, _ = draw.spot(torch.where(anywhere, near, inside))
            image = self.shapes[draw.integer(len(self.shapes))].float()
            margin = self.scanner.matrix - SHAPE_SIZE
            image = pad(image, [margin // 2, margin - margin // 2] * 2)
            image = self._shifted(torch.fft.rfft2(torch.fft.ifftshift(image, dim=(-2, -1))), row, column)
            size = image.square().sum((1, 2)).sqrt()
            by_visibility = draw.log_uniform(settings.visibility) * noise / size
            by_level = draw.log_uniform(settings.level)
            level = torch.where(draw.uniform(0, 1) < 0.6, by_visibility, by_level).clamp(max=700)
            below = 0.9 * (total * image).sum((1, 2)) / image.sum((1, 2)).clamp(min=0.1)
            dark = -torch.minimum(level, below.clamp(min=0))
            level = torch.where(draw.uniform(0, 1) < 0.35, dark, level) * (number < count)
            made.append(image * level[:, None, None])
        return torch.stack(made, dim=1)

    def _shifted(self, spectrum: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Images of half spectra, moved by (row, column) pixels from the centre."""
        turn = row[:, None, None] * self.frequency[0][:, None] + column[:, None, None] * self.frequency[1][None]
        size = self.scanner.matrix
        image = torch.fft.irfft2(spectrum * torch.exp(-2j * torch.pi * turn), s=(size, size))
        centred: Tensor = torch.fft.fftshift(image, dim=(-2, -1))
        return centred

    def _phase(self, draw: Draw) -> Tensor:
        """exp(i phase) of random quadratic phases with a random constant, (objects, matrix, matrix)."""
        half = self.bodies.shape[-1] / 2
        y, x = self.rows / half, self.columns / half
        field = sum(
            deviation * draw.normal()[:, None, None] * part
            for deviation, part in ((1.2, y), (1.2, x), (0.6, y * y), (0.6, x * x), (0.6, x * y))
        )
        constant = draw.uniform(0, 2 * torch.pi)[:, None, None]
        return torch.exp(1j * (draw.uniform(0, 1)[:, None, None] * field + constant))

    def _scanned(self, draw: Draw, generator: torch.Generator, body: Tensor, tubes: Tensor, factor: Tensor) -> Tensor:
        """The clean image and two noisy ones of (body + tubes) * factor, (3, objects, matrix, matrix)."""
        shares = field_shares(draw, self.rows / self.crop, self.columns / self.crop)
        images = [part * factor * share for part in (body, tubes) for share in shares]
        sampled = self.scanner.sample(torch.cat(images)).chunk(len(images))
        changes = evolutions(draw, self.settings, self.scanner.times)
        kspace = torch.stack([part * change for part, change in zip(sampled, changes, strict=True)]).sum(0)
        noise = self.scanner.noise(generator, 2 * len(body))
        clean, first, second = self.scanner.grid(torch.cat([kspace, noise])).chunk(3)
        return torch.stack([clean, clean + first, clean + second])

    def _corner(self, draw: Draw) -> Tensor:
        """Row and column where the crop of each object begins, (objects, 2)."""
        room = self.scanner.matrix - self.crop + 1
        return torch.stack([draw.integer(room), draw.integer(room)], dim=1)

    def _cropped(self, images: Tensor, corner: Tensor) -> Tensor:
        """The crop of (objects, ..., matrix, matrix)."""
        within = torch.arange(self.crop, device=self.device)
        rows, columns = (corner[:, axis, None] + within for axis in (0, 1))
        index = rows[:, :, None] * self.scanner.matrix + columns[:, None, :]
        flat = images.flatten(-2)
        index = index.flatten(1).view(len(images), *[1] * (images.ndim - 3), -1).expand(*flat.shape[:-1], -1)
        return flat.gather(-1, index).reshape(*images.shape[:-2], self.crop, self.crop)


def _channels(images: Tensor) -> Tensor:
    """(..., rows, columns) complex to (..., 2, rows, columns) real."""
    return torch.view_as_real(images).movedim(-1, -3)
