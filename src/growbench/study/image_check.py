"""Check the values of a study of images against one another."""

from growbench import families
from growbench.errors import GrowBenchError, nearest
from growbench.study.images import IMAGE_TASKS
from growbench.study.study import Study
from growbench.synthetic import shapes


def check_section(study: Study) -> None:
    """Raise GrowBenchError unless there are images exactly if they are classified, and models read them as they are."""
    kind, images, family = study.objective.kind, study.images, families.load(study.target.family)
    if images is None:
        if kind == "classification":
            raise GrowBenchError(
                "images: null, but objective.kind is classification; say what is read, as config/demo-vit.yaml does"
            )
        return
    if kind != "classification":
        raise GrowBenchError(
            f"images: given, but objective.kind is {kind}; use images: null, or objective.kind: classification"
        )
    if images.size % images.patch:
        raise GrowBenchError(
            f"images.patch: {images.patch} does not divide images.size {images.size}; use a divisor of {images.size}"
        )
    wanted = images.pixels.patches + family.tokens
    if study.objective.length != wanted:
        raise GrowBenchError(
            f"objective.length: {study.objective.length}, but images of {images.size} in patches of {images.patch} are "
            f"{images.pixels.patches} patches and {family.name} adds {family.tokens}; use {wanted}"
        )


def check(study: Study) -> None:
    """Raise GrowBenchError if a study of images asks for what only text has, or does not say where its images come from."""
    corpus, images = study.corpus, study.images
    assert images is not None
    if study.attention:
        raise GrowBenchError("attention: true, but only attention to tokens of text is measured; use false")
    if study.zeroshot.names:
        raise GrowBenchError(
            f"zeroshot.names: {study.zeroshot.names[0]} is a test of text, but this study reads images; use []"
        )
    if study.finetune.protocol == "held_out":
        raise GrowBenchError("finetune.protocol: held_out is for tasks of text; use single, grid or probe")
    if corpus.source == "synthetic":
        _check_generated(study)
    elif corpus.train is None:
        raise GrowBenchError(f"corpus.train: null, but corpus.source is {corpus.source}; name the images")
    elif images.confused:
        raise GrowBenchError(
            f"images.confused: {images.confused:g}, but only labels of generated images are replaced; use 0"
        )
    known = IMAGE_TASKS.get(study.tasks.source, ())
    for name in study.tasks.names:
        if name not in known:
            remedy = nearest(name, known) if known else "use toyimages, local or hub, or tasks.names: []"
            raise GrowBenchError(
                f"tasks.names: '{name}' is not a task of images of tasks.source {study.tasks.source}; {remedy}"
            )
    if images.task_size is not None and images.task_size % images.patch:
        raise GrowBenchError(
            f"images.task_size: {images.task_size} is not a multiple of images.patch {images.patch}; use one, or null"
        )


def _check_generated(study: Study) -> None:
    corpus, images = study.corpus, study.images
    assert images is not None
    for key in ("train", "valid", "test"):
        if getattr(corpus, key) is not None:
            raise GrowBenchError(
                f"corpus.{key}: {getattr(corpus, key)!r}, but corpus.source is synthetic, which reads no files; use null, or "
                "set corpus.source to local or hub"
            )
    if images.most is None:
        raise GrowBenchError("images.most: null, but images can be generated without end; give a number of images")
    if images.classes > shapes.MOST:
        raise GrowBenchError(
            f"images.classes: {images.classes}, but generated images have at most {shapes.MOST} classes; use fewer"
        )
    if images.size < shapes.SMALLEST:
        raise GrowBenchError(
            f"images.size: {images.size}, but shapes need at least {shapes.SMALLEST} pixels; use a larger size"
        )
    if images.confused >= (most := 1 - 1 / images.classes):
        raise GrowBenchError(
            f"images.confused: {images.confused:g} leaves nothing to learn from {images.classes} classes; use less than {most:.3g}"
        )
